"""Foundations of the other packages: errors, settings, seeds, files, run records, progress."""
