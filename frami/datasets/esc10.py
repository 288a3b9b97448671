"""ESC-10: 400 clips of ESC-50 in 10 classes, under a free license (CC BY 3.0); the same 5 folds.

The labels are in the order of their ESC-50 targets.
Source: Piczak, "ESC: Dataset for Environmental Sound Classification", ACM Multimedia 2015.
"""

from __future__ import annotations

from pathlib import Path

from frami.data import folds
from frami.data.protocol import ProtocolClip
from frami.data.recordings import Split
from frami.datasets import esc50

SECONDS = esc50.SECONDS
SAMPLE_RATE = esc50.SAMPLE_RATE
FOLDER = esc50.FOLDER
ARCHIVES = esc50.ARCHIVES


def test_folds(folder: Path) -> list[str]:
    """Return the official folds in this copy: ``1`` to ``5``."""
    rows = esc50.read_table("esc10", folder)
    return folds.available_folds("esc10", folder, _subset(rows)[0])


def split(folder: Path, fold: str) -> Split:
    """Return the split that tests on one official fold and trains on the other four."""
    rows = esc50.read_table("esc10", folder)
    return folds.hold_out_fold(
        "esc10", folder, *_subset(rows), fold, listed=[esc50.stem(row) for row in rows]
    )


def _subset(rows: list[ProtocolClip]) -> tuple[list[folds.ListedClip], tuple[str, ...]]:
    """Return the clips of the subset; their targets are the indices of its ten labels."""
    return esc50.listed_clips([row for row in rows if row.flag])
