"""URBAN-SED 2.0: 10,000 synthetic soundscapes of 10 s in 10 classes, strongly labeled (CC BY 4.0).

Its soundscapes are split into ``train``, ``validate`` and ``test``; the folds are ``validate`` and
``test``, and both are tested after training on ``train``.
Source: Salamon et al., "Scaper: A library for soundscape synthesis and augmentation", WASPAA 2017.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path

import numpy as np

from frami.core.errors import UsageError
from frami.data.annotations import check_events_within_clips, read_event_file
from frami.data.audio_files import AudioIndex
from frami.data.faults import Faults
from frami.data.folds import check_fold
from frami.data.recordings import FileReader, Recordings, Split

SECONDS = 10.0
SAMPLE_RATE = 44100
FOLDER = "urban-sed_v2.0.0"
FOLDS = ("validate", "test")
TABLES = "[!.]*.txt"  # macOS adds files whose names start with a dot
DISJOINT_FOLDS = True
DERIVED_FROM = "urbansound8k"
# The classes of UrbanSound8K, whose clips the soundscapes are mixed from.
LABELS = (
    "air_conditioner",
    "car_horn",
    "children_playing",
    "dog_bark",
    "drilling",
    "engine_idling",
    "gun_shot",
    "jackhammer",
    "siren",
    "street_music",
)


def test_folds(folder: Path) -> list[str]:
    """Return the official test sets in this copy: ``validate`` and ``test``."""
    return [fold for fold in FOLDS if any((folder / "annotations" / fold).glob(TABLES))]


def split(folder: Path, fold: str) -> Split:
    """Return the split that tests on one official set and trains on ``train``."""
    check_fold("urbansed", fold, FOLDS)
    index = AudioIndex(folder)
    listed = [_tables(folder, part) for part in ("train", fold)]
    (train, missing_train), (test, missing_test) = (
        _recordings(folder, index, tables) for tables in listed
    )
    if not len(train) + len(test):
        raise UsageError(
            f"{folder} has no soundscapes in audio/train or audio/{fold} with annotations in "
            f"annotations/. Pass another folder as `data`."
        )
    absent = missing_train + missing_test
    missing = f"{absent} annotated soundscapes have no audio in this copy." if absent else ""
    return Split(
        "urbansed",
        fold,
        LABELS,
        train,
        test,
        task="sound-events",
        missing=missing,
        unlisted=index.describe_unlisted(chain(*listed), "urbansed"),
    )


def _tables(folder: Path, part: str) -> dict[str, Path]:
    """Return the table of each annotated soundscape of a part, by its path without suffix."""
    found = sorted((folder / "annotations" / part).glob(TABLES))
    return {f"audio/{part}/{path.stem}": path for path in found}


def _recordings(
    folder: Path, index: AudioIndex, tables: Mapping[str, Path]
) -> tuple[Recordings, int]:
    """Return the annotated soundscapes of a part, and the number of those without audio."""
    faults = Faults()
    annotated = {}
    for stem, path in tables.items():
        if name := index.find(stem):
            with faults.collect():
                annotated[name] = read_event_file(path, LABELS)
    faults.check()
    check_events_within_clips(folder, annotated)
    names = tuple(annotated)
    tags = [
        [label in {e.label for e in events} for label in LABELS] for events in annotated.values()
    ]
    targets = np.array(tags, np.float32).reshape(len(names), len(LABELS))
    indexed_events = tuple(
        tuple((e.onset, e.offset, LABELS.index(e.label)) for e in events)
        for events in annotated.values()
    )

    read = FileReader(tuple(folder / name for name in names))
    return Recordings(names, targets, read, indexed_events), len(tables) - len(names)
