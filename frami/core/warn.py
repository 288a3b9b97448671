"""Warnings of the library: in Python they go through `warnings`, on the command line to stderr."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

PACKAGE = str(Path(__file__).resolve().parents[1])


class FramiWarning(UserWarning):
    """A result may not be what it seems; the sentence says why and what to do."""


def warn(sentence: str) -> None:
    """Issue a `FramiWarning` that points to the line outside of frami that led to it."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(sentence, FramiWarning, stacklevel=level)


def warn_all(sentences: Iterable[str]) -> None:
    """Issue a `FramiWarning` for each sentence."""
    for sentence in sentences:
        warn(sentence)
