"""From a frozen teacher to synthetic spectrograms."""
