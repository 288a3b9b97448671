"""URBAN-SED 2.0: 10,000 synthetic soundscapes of 10 s in 10 classes, strongly labelled (CC BY 4.0).

To train on are the soundscapes of ``train``; ``--test-fold`` is ``validate`` or ``test``.
Source: Salamon et al., "Scaper: A library for soundscape synthesis and augmentation", WASPAA 2017.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from frami.audio.io import read_audio
from frami.core.errors import UsageError, unknown_name
from frami.data.annotations import check_events_within_clips, read_event_file
from frami.data.recordings import Recordings, Split

SECONDS = 10.0
SAMPLE_RATE = 44100
FOLDER = "urban-sed_v2.0.0"
FOLDS = ("validate", "test")
TABLES = "[!.]*.txt"  # macOS leaves files beside them whose names begin with a dot
DISJOINT_FOLDS = True
DERIVED_FROM = "urbansound8k"
# Those of UrbanSound8K, whose sounds they are.
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
    """Return the official sets to test on that are there."""
    return [fold for fold in FOLDS if any((folder / "annotations" / fold).glob(TABLES))]


def split(folder: Path, fold: str) -> Split:
    """Return the split that tests on one official set and trains on ``train``."""
    if fold not in FOLDS:
        raise unknown_name("fold of urbansed", fold, FOLDS)
    train, absent = _recordings(folder, "train")
    test, others = _recordings(folder, fold)
    if not len(train) + len(test):
        raise UsageError(
            f"{folder} has no soundscapes in audio/train or audio/{fold} with their annotations/*/*.txt; "
            f"name another with --data."
        )
    missing = (
        f"{absent + others} annotated soundscapes have no audio here." if absent + others else ""
    )
    return Split("urbansed", fold, LABELS, train, test, task="sound-events", missing=missing)


def _recordings(folder: Path, part: str) -> tuple[Recordings, int]:
    """Return the soundscapes of a part that are there, and how many are annotated and are not."""
    tables = sorted((folder / "annotations" / part).glob(TABLES))
    there = [path for path in tables if (folder / "audio" / part / f"{path.stem}.wav").is_file()]
    names = [f"audio/{part}/{path.stem}.wav" for path in there]
    listed = {name: read_event_file(path, LABELS) for name, path in zip(names, there, strict=True)}
    check_events_within_clips(folder, listed)
    tags = [[label in {e.label for e in listed[name]} for label in LABELS] for name in names]
    targets = np.array(tags, np.float32).reshape(len(names), len(LABELS))
    events = tuple(
        tuple((e.onset, e.offset, LABELS.index(e.label)) for e in listed[name]) for name in names
    )

    def read(number: int, rate: int) -> Tensor:
        return read_audio(folder / names[number], rate)

    return Recordings(tuple(names), targets, read, events), len(tables) - len(there)
