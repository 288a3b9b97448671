"""SONYC-UST, DCASE 2019 task 5: 10-s recordings of New York's streets with eight coarse tags (CC BY 4.0).

A recording to train on was heard by three volunteers and has a tag that any of them heard, as in the challenge's
baseline; one of ``validate`` has those that the authors agreed on (annotator 0). ``--test-fold validate`` is official.
The folders ``train`` and ``validate`` lie beside ``annotations.csv``, as version 1 is unpacked.
Source: Cartwright et al., "SONYC Urban Sound Tagging (SONYC-UST)", DCASE Workshop 2019.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from frami.audio.io import read_audio
from frami.core.errors import UsageError, unknown_name
from frami.data import tables
from frami.data.recordings import Recordings, Split

SECONDS = 10.0
SAMPLE_RATE = 44100
FOLDER = "sonyc-ust"
TABLE = "annotations.csv"
FOLDS = ("validate",)
AUTHORS = "0"
LABELS = (
    "engine",
    "machinery-impact",
    "non-machinery-impact",
    "powered-saw",
    "alert-signal",
    "music",
    "human-voice",
    "dog",
)
COLUMNS = tuple(f"{number}_{label}_presence" for number, label in enumerate(LABELS, 1))


def test_folds(folder: Path) -> list[str]:
    """Return the official sets to test on: ``validate``."""
    return [fold for fold in FOLDS if any(row["split"] == fold for row in _rows(folder))]


def split(folder: Path, fold: str) -> Split:
    """Return the split that tests on one official set and trains on ``train``."""
    if fold not in FOLDS:
        raise unknown_name("fold of sonyc", fold, FOLDS)
    rows = _rows(folder)
    train, absent = _recordings(folder, [row for row in rows if row["split"] == "train"], "train")
    agreed = [row for row in rows if row["split"] == fold and row["annotator_id"] == AUTHORS]
    test, others = _recordings(folder, agreed, fold)
    if not len(train) + len(test):
        raise UsageError(
            f"None of the recordings is in {folder}/train or {folder}/{fold}; unpack them there."
        )
    missing = (
        f"{absent + others} annotated recordings have no audio here." if absent + others else ""
    )
    return Split("sonyc", fold, LABELS, train, test, task="multi-label", missing=missing)


def _rows(folder: Path) -> list[dict[str, str]]:
    absent = (
        f"{folder} is not a folder of sonyc: there is no {TABLE} in it; name another with --data."
    )
    found = tables.read_numbered_rows(
        folder / TABLE, ("split", "audio_filename", "annotator_id", *COLUMNS), absent=absent
    )
    for line, row in found:
        for column in COLUMNS:
            row[column] = str(tables.parse_number(row[column] or "0", column, folder / TABLE, line))
    return [row for _, row in found]


def _recordings(folder: Path, rows: list[dict[str, str]], part: str) -> tuple[Recordings, int]:
    """Return the recordings of some rows that are there, with any tag of their rows, and how many are not there."""
    tags: dict[str, np.ndarray] = {}
    for row in rows:
        heard = np.array([float(row[column]) > 0 for column in COLUMNS], dtype=np.float32)
        tags[row["audio_filename"]] = np.maximum(tags.get(row["audio_filename"], heard), heard)
    names = [name for name in sorted(tags) if (folder / part / name).is_file()]

    def read(number: int, rate: int) -> Tensor:
        return read_audio(folder / part / names[number], rate)

    targets = np.array([tags[name] for name in names], np.float32).reshape(len(names), len(LABELS))
    return Recordings(tuple(names), targets, read), len(tags) - len(names)
