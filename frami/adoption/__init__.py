"""Adoption: make a teacher of a classifier that was trained elsewhere, and check it."""
