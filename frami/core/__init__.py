"""What every other package stands on: errors, settings, seeds, files, run records, progress."""
