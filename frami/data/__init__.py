"""Recordings, their splits and annotations, and the store of synthetic clips."""
