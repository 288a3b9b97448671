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
from frami.data.recordings import Archive, Split

SECONDS = 5.0
SAMPLE_RATE = 44100
FOLDER = "esc50"
# Without a checksum: GitHub packs this archive on request, and its bytes may change.
ARCHIVES = (
    Archive("ESC-50-master.zip", "https://github.com/karoldvl/ESC-50/archive/master.zip", None),
)
COLUMNS = ("filename", "fold", "target", "category", "esc10")


def test_folds(folder: Path) -> list[str]:
    """Return the official folds in this copy: ``1`` to ``5``."""
    return folds.available_folds("esc50", folder, listed_clips("esc50", folder)[0])


def split(folder: Path, fold: str) -> Split:
    """Return the split that tests on one official fold and trains on the other four."""
    return folds.hold_out_fold("esc50", folder, *listed_clips("esc50", folder), fold)


def listed_clips(
    dataset: str, folder: Path, *, esc10: bool = False
) -> tuple[list[folds.ListedClip], tuple[str, ...]]:
    """Return the clips in the csv file, folds in order, and the labels in the order of its targets.

    Args:
        dataset: Name of the data set, for error messages.
        folder: Folder of ESC-50.
        esc10: Keep the ESC-10 subset only. Targets are then the indices of its ten labels.
    """
    rows = folds.read_protocol(dataset, folder, "meta/esc50.csv", COLUMNS, "target", "esc10")
    rows = sorted(
        (row for row in rows if row["esc10"] == "True" or not esc10),
        key=lambda row: row["filename"],
    )
    labels = dict(sorted((int(row["target"]), row["category"]) for row in rows))
    index = {target: position for position, target in enumerate(labels)}
    clips = [
        folds.ListedClip(
            f"audio/{Path(row['filename']).stem}", index[int(row["target"])], row["fold"]
        )
        for row in rows
    ]
    return clips, tuple(labels.values())
