"""TAU Urban Acoustic Scenes 2022 Mobile, development set: 1-s excerpts of ten scenes.

The excerpts were recorded with several devices. It is the data set of DCASE 2023 task 1. Its only
fold is ``1``. The license forbids commercial use.
Source: Heittola, Mesaros and Virtanen, "Acoustic Scene Classification in DCASE 2020 Challenge",
DCASE Workshop 2020.
"""

from __future__ import annotations

from pathlib import Path

from frami.core.errors import UsageError
from frami.data import tables
from frami.data.folds import check_fold
from frami.data.recordings import Recordings, Split

SECONDS = 1.0
SAMPLE_RATE = 44100
FOLDER = "tau-urban-acoustic-scenes-2022-mobile-development"
FOLDS = ("1",)
SETUP = "evaluation_setup/fold1_{}.csv"
COLUMNS = ("filename", "scene_label")
LABELS = (
    "airport",
    "bus",
    "metro",
    "metro_station",
    "park",
    "public_square",
    "shopping_mall",
    "street_pedestrian",
    "street_traffic",
    "tram",
)


def test_folds(folder: Path) -> list[str]:
    """Return ``1``, the official fold, if this copy has its table."""
    return [fold for fold in FOLDS if (folder / SETUP.format("evaluate")).is_file()]


def split(folder: Path, fold: str) -> Split:
    """Return the official split into training and evaluation clips."""
    check_fold("tau2022", fold, FOLDS)
    train, missing_train = Recordings.from_files(folder, []), 0
    # An auditor's copy may hold the test clips alone.
    if (folder / SETUP.format("train")).is_file():
        train, missing_train = _recordings(folder, folder / SETUP.format("train"))
    test, missing_test = _recordings(folder, folder / SETUP.format("evaluate"))
    if not len(train) + len(test):
        raise UsageError(
            f"{folder / 'audio'} has none of the listed excerpts. Copy the audio files there."
        )
    absent = missing_train + missing_test
    missing = f"{absent} of the listed excerpts have no audio in this copy." if absent else ""
    return Split("tau2022", fold, LABELS, train, test, missing=missing)


def _recordings(folder: Path, table: Path) -> tuple[Recordings, int]:
    """Return the listed excerpts in this copy, and the number of those that are not."""
    items = []
    absent = (
        f"{folder} is not a folder of tau2022: it has no {table.relative_to(folder)}. "
        f"Pass another folder as `data`."
    )
    rows = tables.read_rows(table, COLUMNS, absent=absent, delimiter="\t")
    for row in rows:
        if row["scene_label"] not in LABELS:
            raise UsageError(
                f"{table} has the scene {row['scene_label']!r}. Allowed: {', '.join(LABELS)}."
            )
        if (folder / row["filename"]).is_file():
            items.append((row["filename"], LABELS.index(row["scene_label"])))
    return Recordings.from_files(folder, items), len(rows) - len(items)
