"""Prediction: answers of a model for files, folders and streams."""
