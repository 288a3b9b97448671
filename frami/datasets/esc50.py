"""ESC-50: 2,000 environmental sounds of 5 s in 50 classes and 5 folds.

The folds keep all clips of one source together, but for four sources: 131943, 134049, 209698 and
234879 have nine clips, and each is in two folds, with another class in each. The folds of ESC-10
share no source.

The license, CC BY-NC 3.0, forbids commercial use.
Source: Piczak, "ESC: Dataset for Environmental Sound Classification", ACM Multimedia 2015.
"""

from __future__ import annotations

from pathlib import Path

from frami.data import folds
from frami.data.protocol import ProtocolClip, Table
from frami.data.recordings import Archive, Split

SECONDS = 5.0
SAMPLE_RATE = 44100
FOLDER = "esc50"
# Without a checksum: GitHub packs this archive on request, and its bytes may change.
ARCHIVES = (
    Archive("ESC-50-master.zip", "https://github.com/karoldvl/ESC-50/archive/master.zip", None),
)
TABLE = Table(
    "meta/esc50.csv",
    file="filename",
    fold="fold",
    target="target",
    label="category",
    flag="esc10",
    file_name=r"(?P<fold>\d+)-\d+-\w+-(?P<target>\d+)",
)


def test_folds(folder: Path) -> list[str]:
    """Return the official folds in this copy: ``1`` to ``5``."""
    return folds.available_folds("esc50", folder, listed_clips(read_table("esc50", folder))[0])


def split(folder: Path, fold: str) -> Split:
    """Return the split that tests on one official fold and trains on the other four."""
    return folds.hold_out_fold("esc50", folder, *listed_clips(read_table("esc50", folder)), fold)


def read_table(dataset: str, folder: Path) -> list[ProtocolClip]:
    """Return the rows of ESC-50's table, for the data set of this name."""
    return folds.read_protocol(dataset, folder, TABLE)


def listed_clips(rows: list[ProtocolClip]) -> tuple[list[folds.ListedClip], tuple[str, ...]]:
    """Return clips, folds in order, and their labels in the order of the targets."""
    labels = dict(sorted((row.target, row.label) for row in rows))
    index = {target: position for position, target in enumerate(labels)}
    clips = [
        folds.ListedClip(stem(row), index[row.target], row.fold)
        for row in sorted(rows, key=lambda row: row.file)
    ]
    return clips, tuple(labels.values())


def stem(row: ProtocolClip) -> str:
    """Return the path of a clip below the folder, without its suffix."""
    return f"audio/{Path(row.file).stem}"
