"""Recordings with their splits and annotations, and the store of synthetic clips."""
