"""Descriptions of a bundle, a store or a run as text, plots, tables and sounds."""
