"""Pretrained models that are part of the package, such as `frami.load("digits")`."""
