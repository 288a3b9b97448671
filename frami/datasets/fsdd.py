"""Free Spoken Digit Dataset: 10 English digits by 6 speakers, 50 takes each, at 8 kHz.

The fold ``takes`` is the official split, which tests on takes 0 to 4. A speaker's name is a fold
that holds out all takes of that speaker. License: CC BY-SA 4.0.
Source: Jackson and others, https://github.com/Jakobovski/free-spoken-digit-dataset.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

from frami.data import folds
from frami.data.recordings import Archive, Split

SECONDS = 1.0
SAMPLE_RATE = 8000
FOLDER = "fsdd"
# Without a checksum: GitHub packs this archive on request, and its bytes may change.
ARCHIVES = (
    Archive(
        "free-spoken-digit-dataset-1.0.10.zip",
        "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip",
        None,
    ),
)
LABELS = tuple("0123456789")
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
TAKES = 50
TEST_TAKES = 5


def test_folds(folder: Path) -> list[str]:
    """Return ``takes`` (the official split) and the speakers in this copy."""
    return ["takes", *folds.available_folds("fsdd", folder, _clips(by_speaker=True))]


def split(folder: Path, fold: str) -> Split:
    """Return the official split (``takes``), or the split that holds out the speaker ``fold``."""
    available = test_folds(folder)
    if fold not in available:
        raise folds.missing_fold_error("fsdd", folder, fold, available)
    return folds.hold_out_fold(
        "fsdd", folder, _clips(by_speaker=fold != "takes"), LABELS, fold, parts="speakers"
    )


def _clips(*, by_speaker: bool) -> list[folds.ListedClip]:
    """Return the 3,000 clips; their folds are the speakers, or ``takes`` and ``rest``."""
    return [
        folds.ListedClip(
            f"recordings/{digit}_{speaker}_{take}",
            int(digit),
            fold=speaker if by_speaker else "takes" if take < TEST_TAKES else "rest",
            part=speaker,
        )
        for speaker, digit, take in product(SPEAKERS, LABELS, range(TAKES))
    ]
