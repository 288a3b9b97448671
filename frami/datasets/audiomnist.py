"""AudioMNIST: 10 English digits by 60 speakers, 50 takes each, at 48 kHz (MIT license).

The five folds hold out twelve speakers each: the test speakers of the authors' digit task, with the
same numbers. Differs: the authors' twelve validation speakers are training speakers here.
Source: Becker et al., "AudioMNIST: Exploring Explainable Artificial Intelligence for Audio Analysis
on a Simple Benchmark", Journal of the Franklin Institute 2024, arXiv:1807.03418;
github.com/soerenab/AudioMNIST.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

from frami.data import folds
from frami.data.recordings import Archive, Split

SECONDS = 1.0
SAMPLE_RATE = 48000
FOLDER = "audiomnist"
# Without a checksum: GitHub packs this archive on request, and its bytes may change.
ARCHIVES = (
    Archive(
        "AudioMNIST-master.zip", "https://github.com/soerenab/AudioMNIST/archive/master.zip", None
    ),
)
LABELS = tuple("0123456789")
TAKES = 50
TEST_SPEAKERS = {
    "0": (26, 52, 60, 18, 32, 42, 5, 13, 22, 33, 45, 51),
    "1": (28, 56, 7, 19, 35, 1, 6, 16, 23, 34, 46, 53),
    "2": (36, 57, 9, 24, 37, 2, 8, 17, 29, 39, 48, 54),
    "3": (43, 58, 14, 25, 38, 3, 10, 20, 30, 40, 49, 55),
    "4": (12, 47, 59, 15, 27, 41, 4, 11, 21, 31, 44, 50),
}


def test_folds(folder: Path) -> list[str]:
    """Return the official folds in this copy: ``0`` to ``4``."""
    return folds.available_folds("audiomnist", folder, _clips(folder))


def split(folder: Path, fold: str) -> Split:
    """Return the split that tests on the twelve speakers of a fold and trains on the other 48."""
    return folds.hold_out_fold("audiomnist", folder, _clips(folder), LABELS, fold, parts="speakers")


def _clips(folder: Path) -> list[folds.ListedClip]:
    """Return the 30,000 clips, folds in order. The speakers' folders may be in ``data/``."""
    parent = "data/" if (folder / "data").is_dir() else ""
    return [
        folds.ListedClip(
            f"{parent}{speaker}/{digit}_{speaker}_{take}", int(digit), fold, part=speaker
        )
        for fold, speakers in TEST_SPEAKERS.items()
        for speaker, digit, take in product(
            [f"{speaker:02}" for speaker in sorted(speakers)], LABELS, range(TAKES)
        )
    ]
