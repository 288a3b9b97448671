"""Machine sounds: audio/NAME.wav, listed in meta.csv with the columns name, label, fold."""

import csv
from pathlib import Path

from frami.core.errors import unknown_name
from frami.data.recordings import Recordings, Split

FOLDER = "machines"  # its folder below FRAMI_DATA
SECONDS = 2.0  # the longest clip; selects the default front end
SAMPLE_RATE = 16000


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "meta.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_folds(folder: Path) -> list[str]:
    """Return the names that ``--test-fold`` may take."""
    return sorted({row["fold"] for row in _rows(folder)})


def split(folder: Path, fold: str) -> Split:
    """Return the split that tests on one fold and trains on the others."""
    rows = _rows(folder)
    if fold not in test_folds(folder):
        raise unknown_name("fold of machines", fold, test_folds(folder))
    labels = tuple(sorted({row["label"] for row in rows}))
    train, test = (
        Recordings.from_files(
            folder,
            [
                (f"audio/{row['name']}.wav", labels.index(row["label"]))
                for row in rows
                if (row["fold"] == fold) is held_out
            ],
        )
        for held_out in (False, True)
    )
    return Split("mylab.machines", fold, labels, train, test)
