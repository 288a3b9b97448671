"""SONYC-UST, DCASE 2019 task 5: 10-s street recordings from New York with eight coarse tags.

Three volunteers annotated each training recording. It has every tag that at least one of them gave.
Where the authors agreed on its tags (annotator 0), it has theirs alone, as in the challenge's
baseline. So has a recording of ``validate``, the only fold. A tag of -1, as in version 2, is one
that nobody was asked for: it is unknown. Unpack the folders ``train`` and ``validate`` beside
``annotations.csv``, as in version 1. License: CC BY 4.0.
Source: Cartwright et al., "SONYC Urban Sound Tagging (SONYC-UST)", DCASE Workshop 2019.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from frami.core.errors import UsageError
from frami.data import tables
from frami.data.audio_files import AudioIndex
from frami.data.faults import Faults
from frami.data.folds import check_fold
from frami.data.recordings import FileReader, Recordings, Split

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
    """Return ``validate``, the official test set, if this copy has its annotations."""
    return [fold for fold in FOLDS if any(row["split"] == fold for row in _rows(folder))]


def split(folder: Path, fold: str) -> Split:
    """Return the split that tests on one official set and trains on ``train``."""
    check_fold("sonyc", fold, FOLDS)
    rows, index = _rows(folder), AudioIndex(folder)
    agreed = {row["audio_filename"] for row in rows if row["annotator_id"] == AUTHORS}
    of_train = [
        row
        for row in rows
        if row["split"] == "train"
        and (row["annotator_id"] == AUTHORS or row["audio_filename"] not in agreed)
    ]
    by_authors = [row for row in rows if row["split"] == fold and row["annotator_id"] == AUTHORS]
    train, missing_train = _recordings(folder, index, of_train, "train")
    test, missing_test = _recordings(folder, index, by_authors, fold)
    if not len(train) + len(test):
        raise UsageError(
            f"{folder}/train and {folder}/{fold} have none of the annotated recordings. "
            f"Unpack the audio files there."
        )
    absent = missing_train + missing_test
    missing = f"{absent} annotated recordings have no audio in this copy." if absent else ""
    listed = {f"{row['split']}/{row['audio_filename']}" for row in rows}
    unlisted = index.describe_unlisted(listed, "sonyc")
    return Split(
        "sonyc", fold, LABELS, train, test, task="multi-label", missing=missing, unlisted=unlisted
    )


def _rows(folder: Path) -> list[tables.Row]:
    """Return the rows of the table; a cell of a tag is ``1`` (present), ``0`` or ``-1``."""
    path, faults = folder / TABLE, Faults()
    absent = f"{folder} is not a folder of sonyc: it has no {TABLE}. Pass another folder as `data`."
    rows = tables.read_numbered_rows(
        path, ("split", "audio_filename", "annotator_id", *COLUMNS), absent=absent
    )
    first_of: dict[str, tuple[int, str]] = {}
    by_authors: dict[str, tuple[int, tables.Row]] = {}
    for line, row in rows:
        with faults.collect():
            _parse(path, line, row)
        name = row["audio_filename"]
        first, part = first_of.setdefault(name, (line, row["split"]))
        if part != row["split"]:
            faults.add(
                f"{path}, lines {first} and {line}: {name} is in {part} and in {row['split']}. The "
                f"sides of a split share no clip: remove one of the lines."
            )
        if row["annotator_id"] == AUTHORS:
            first, other = by_authors.setdefault(name, (line, row))
            if other != row:
                faults.add(
                    f"{path}, lines {first} and {line}: the authors (annotator {AUTHORS}) have "
                    f"given {name} different tags. Keep one of the lines."
                )
    faults.check()
    return [row for _, row in rows]


def _parse(path: Path, line: int, row: tables.Row) -> None:
    """Write the numbers of a row in one way; an empty cell of a tag is ``-1``, unknown."""
    column = "annotator_id"
    row[column] = str(tables.parse_integer(row[column], column, path, line))
    for column in COLUMNS:
        value = tables.parse_integer(row[column] or "-1", column, path, line)
        if value not in (-1, 0, 1):
            raise UsageError(
                f"{path}, line {line}: {column} is {value}; it must be 1, 0 or -1 (unknown)."
            )
        row[column] = str(value)


def _recordings(
    folder: Path, index: AudioIndex, rows: list[tables.Row], part: str
) -> tuple[Recordings, int]:
    """Return the recordings of some rows, and the number of those without audio.

    A recording has every tag that at least one of its rows has. It lacks a tag that none has, and
    at least one row was asked for. In other cases the tag is unknown (NaN).
    """
    tags: dict[str, np.ndarray] = {}
    for row in rows:
        values = np.array([int(row[column]) for column in COLUMNS])
        row_tags = np.where(values < 0, np.nan, values > 0).astype(np.float32)
        name = row["audio_filename"]
        tags[name] = np.fmax(tags.get(name, row_tags), row_tags)  # a number wins over NaN
    found = {name: index.find(f"{part}/{name}") for name in sorted(tags)}
    paths = {name: path for name, path in found.items() if path}

    read = FileReader(tuple(folder / path for path in paths.values()))
    targets = np.array([tags[name] for name in paths], np.float32).reshape(len(paths), len(LABELS))
    return Recordings(tuple(paths), targets, read), len(tags) - len(paths)
