"""TAU Urban Acoustic Scenes 2022 Mobile, development set: 1-s excerpts of ten scenes, from several devices.

As for DCASE 2023 task 1; ``--test-fold 1`` is the official fold, the only one. Not for commercial use.
Source: Heittola, Mesaros and Virtanen, "Acoustic Scene Classification in DCASE 2020 Challenge", DCASE Workshop 2020.
"""

from __future__ import annotations

from pathlib import Path

from frami.core.errors import UsageError, unknown_name
from frami.data import tables
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
    """Return the official folds: ``1``."""
    return [fold for fold in FOLDS if (folder / SETUP.format("evaluate")).is_file()]


def split(folder: Path, fold: str) -> Split:
    """Return the official split of training and evaluation."""
    if fold not in FOLDS:
        raise unknown_name("fold of tau2022", fold, FOLDS)
    learned = folder / SETUP.format("train")
    # Somebody who audits a model has what is tested on alone.
    train, absent = (
        _recordings(folder, learned)
        if learned.is_file()
        else (Recordings.from_files(folder, []), 0)
    )
    test, others = _recordings(folder, folder / SETUP.format("evaluate"))
    if not len(train) + len(test):
        raise UsageError(
            f"None of the excerpts that are listed is in {folder / 'audio'}; copy them there."
        )
    missing = f"{absent + others} listed excerpts have no audio here." if absent + others else ""
    return Split("tau2022", fold, LABELS, train, test, missing=missing)


def _recordings(folder: Path, table: Path) -> tuple[Recordings, int]:
    """Return the listed excerpts that are there, and how many are not."""
    items = []
    absent = f"{folder} is not a folder of tau2022: there is no {table.relative_to(folder)} in it; name another with --data."
    rows = tables.read_rows(table, COLUMNS, absent=absent, delimiter="\t")
    for row in rows:
        if row["scene_label"] not in LABELS:
            raise UsageError(
                f"{table} has the scene {row['scene_label']!r}; allowed: {', '.join(LABELS)}."
            )
        if (folder / row["filename"]).is_file():
            items.append((row["filename"], LABELS.index(row["scene_label"])))
    return Recordings.from_files(folder, items), len(rows) - len(items)
