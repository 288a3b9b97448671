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
from frami.data.audio_files import AudioIndex
from frami.data.faults import Faults
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
    faults, index = Faults(), AudioIndex(folder)
    listed: dict[str, tuple[str, str]] = {}
    sides = []
    for part in ("train", "evaluate"):
        table = folder / SETUP.format(part)
        # An auditor's copy may hold the test clips alone.
        has_rows = part == "evaluate" or table.is_file()
        sides.append(_read_table(folder, table, listed, faults) if has_rows else {})
    faults.check()
    (train, missing_train), (test, missing_test) = (
        _recordings(folder, index, scenes) for scenes in sides
    )
    if not len(train) + len(test):
        raise UsageError(
            f"{folder / 'audio'} has none of the listed excerpts. Copy the audio files there."
        )
    absent = missing_train + missing_test
    missing = f"{absent} of the listed excerpts have no audio in this copy." if absent else ""
    unlisted = index.describe_unlisted(listed, "tau2022")
    return Split("tau2022", fold, LABELS, train, test, missing=missing, unlisted=unlisted)


def _read_table(
    folder: Path, table: Path, listed: dict[str, tuple[str, str]], faults: Faults
) -> dict[str, str]:
    """Return the scene of each excerpt in a table.

    Args:
        folder: Folder of the data set.
        table: One of its tables.
        listed: The scene and the place of each excerpt in the tables so far; it is extended.
        faults: What rows contradict, here or in another table, is added.
    """
    absent = (
        f"{folder} is not a folder of tau2022: it has no {table.relative_to(folder)}. "
        f"Pass another folder as `data`."
    )
    scenes: dict[str, str] = {}
    for line, row in tables.read_numbered_rows(table, COLUMNS, absent=absent, delimiter="\t"):
        name, scene, place = row["filename"], row["scene_label"], f"{table.name}, line {line}"
        named = Path(name).name.partition("-")[0]
        if scene not in LABELS:
            faults.add(f"{place} has the scene {scene!r}. Allowed: {', '.join(LABELS)}.")
        elif named in LABELS and named != scene:
            faults.add(
                f"{place}: scene_label is {scene}, but the name of the file {name} says {named}."
            )
        first = listed.setdefault(name, (scene, place))
        if first[0] != scene or name not in scenes and first[1] != place:
            faults.add(
                f"{name} is listed twice: {first[1]} ({first[0]}) and {place} ({scene}). The sides "
                f"of a split share no clip: remove one of the lines."
            )
        scenes[name] = scene
    return scenes


def _recordings(folder: Path, index: AudioIndex, scenes: dict[str, str]) -> tuple[Recordings, int]:
    """Return the listed excerpts in this copy, and the number of those that are not."""
    found = {name: index.find(name) for name in scenes}
    items = [(path, LABELS.index(scenes[name])) for name, path in found.items() if path]
    return Recordings.from_files(folder, items), len(scenes) - len(items)
