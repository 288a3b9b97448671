"""Models that ship with the package: `frami.load("digits")`."""
