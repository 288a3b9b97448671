"""Demos: inversion and distillation from end to end in minutes, without a download."""
