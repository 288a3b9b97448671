"""Run the command line: `python -m frami` is the same as `frami`."""

from frami.cli import main

main()
