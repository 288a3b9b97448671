"""Classifiers: network, architecture, task, and the bundle that a model is saved in."""
