"""Model inversion: from a frozen teacher to synthetic spectrograms."""
