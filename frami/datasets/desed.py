"""DESED, sounds of the home in clips of 10 s, as laid out for DCASE 2023 task 4; and what `frami soundscapes` writes.

To train on are the soundscapes of ``synthetic21_train``, whose events are known, and, where they are there, the clips with
weak labels, of which it is known what sounds and not when. Clips without labels, where they are there, are distilled from,
and trained on by nobody. ``--test-fold validation`` is the official validation set.

Source: Turpault et al., "Sound event detection in domestic environments with weakly labeled data and soundscape
synthesis", DCASE Workshop 2019. Its audio is collected from several places, so there is nothing to download here.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from torch import Tensor

from frami.audio.io import read_audio
from frami.core.errors import FramiError, UsageError, unknown_name
from frami.core.run import read_record
from frami.data.annotations import (
    DESED_DURATIONS,
    DESED_FOLDS,
    DESED_SYNTHETIC,
    Event,
    check_events_within_clips,
    read_annotation_rows,
    read_durations,
    read_strong_labels,
    read_weak_labels,
)
from frami.data.recordings import Recordings, Split

SECONDS = 10.0
SAMPLE_RATE = 16000
FOLDER = "desed"
WEAK = "train/weak"
UNLABELLED = "train/unlabel_in_domain"
Annotation = tuple[
    list[str] | None, list[Event] | None
]  # tags where known, and events where they are timed


def test_folds(folder: Path) -> list[str]:
    """Return the official sets to test on that are there: ``validation``."""
    return [name for name, part in DESED_FOLDS.items() if _table(folder, part).is_file()]


def split(folder: Path, fold: str) -> Split:
    """Return the split that tests on one official set and trains on the clips of training."""
    if fold not in DESED_FOLDS:
        raise unknown_name("fold of desed", fold, DESED_FOLDS)
    tested = read_strong_labels(_table(folder, DESED_FOLDS[fold]))
    # Somebody who audits a model has what is tested on alone.
    strong = (
        read_strong_labels(_table(folder, DESED_SYNTHETIC))
        if _table(folder, DESED_SYNTHETIC).is_file()
        else {}
    )
    lengths = (
        read_durations(folder / DESED_DURATIONS[fold])
        if (folder / DESED_DURATIONS[fold]).is_file()
        else {}
    )
    check_events_within_clips(
        folder / "audio" / DESED_SYNTHETIC, _there(folder, DESED_SYNTHETIC, strong)
    )
    check_events_within_clips(
        folder / "audio" / DESED_FOLDS[fold], _there(folder, DESED_FOLDS[fold], tested), lengths
    )
    weak = read_weak_labels(_table(folder, WEAK)) if _table(folder, WEAK).is_file() else {}
    # Without soundscapes, weak labels and what is tested on tell the classes.
    named = [*map(_labels, (strong or tested).values()), *([] if strong else weak.values())]
    labels = tuple(sorted({label for listed in named for label in listed}))
    if not labels:
        table = _table(folder, DESED_SYNTHETIC if strong else DESED_FOLDS[fold])
        raise UsageError(f"{table} annotates no event; one or more are needed.")
    train: dict[str, Annotation] = {
        f"{DESED_SYNTHETIC}/{name}": (_labels(events), events) for name, events in strong.items()
    }
    train |= {f"{WEAK}/{name}": (named, None) for name, named in weak.items()}
    train |= {f"{UNLABELLED}/{name}": (None, None) for name in _unlabelled(folder)}
    test: dict[str, Annotation] = {
        f"{DESED_FOLDS[fold]}/{name}": (_labels(events), events) for name, events in tested.items()
    }
    learned, absent = _recordings(folder, train, labels)
    held_out, others = _recordings(folder, test, labels)
    of = f"of the {len(train) + len(test)} clips listed are not there."
    missing = f"{absent + others} {of}" if absent + others else ""
    if not len(learned) + len(held_out):
        raise UsageError(
            f"None of the annotated clips is in {folder / 'audio'}; name another folder with --data."
        )
    return Split(
        "desed",
        fold,
        labels,
        learned,
        held_out,
        task="sound-events",
        missing=missing,
        mixed_from=_mixed(folder),
    )


def _mixed(folder: Path) -> dict[str, str]:
    """Return what soundscapes were mixed from; nothing where the folder is no work of `frami.soundscapes`."""
    try:
        record = read_record(folder)
    except FramiError:  # it is somebody else's, or not there
        return {}
    settings = record["settings"] if record["command"] == "soundscapes" else {}
    return {name: str(settings[name]) for name in ("dataset", "test_fold") if name in settings}


def _unlabelled(folder: Path) -> list[str]:
    """Return the names of the clips without labels: those of the table, or, where there is none, all in their folder."""
    table = _table(folder, UNLABELLED)
    if table.is_file():
        return [row["filename"] for row in read_annotation_rows(table, ("filename",))]
    return sorted(path.name for path in (folder / "audio" / UNLABELLED).glob("[!.]*.wav"))


def _labels(events: list[Event]) -> list[str]:
    return [event.label for event in events]


def _tags(named: list[str] | None, labels: tuple[str, ...]) -> list[float]:
    return [math.nan if named is None else float(label in named) for label in labels]


def _table(folder: Path, part: str) -> Path:
    return folder / "metadata" / f"{part}.tsv"


def _there(folder: Path, part: str, annotated: dict[str, list[Event]]) -> dict[str, list[Event]]:
    return {
        name: events
        for name, events in annotated.items()
        if (folder / "audio" / part / name).is_file()
    }


def _recordings(
    folder: Path, annotated: dict[str, Annotation], labels: tuple[str, ...]
) -> tuple[Recordings, int]:
    """Return the clips that are there with their tags and events, and how many are not."""
    index = {label: number for number, label in enumerate(labels)}
    for name, (named, _) in annotated.items():
        for label in named or ():
            if label not in index:
                raise UsageError(
                    f"{folder / 'metadata'} tags {name} with {label!r}, which no soundscape of training has; "
                    f"allowed: {', '.join(labels)}."
                )
    names = [name for name in sorted(annotated) if (folder / "audio" / name).is_file()]
    tags = [_tags(annotated[name][0], labels) for name in names]
    targets = np.array(tags, dtype=np.float32).reshape(len(names), len(labels))
    timed = [annotated[name][1] for name in names]
    events = tuple(
        None
        if found is None
        else tuple((event.onset, event.offset, index[event.label]) for event in found)
        for found in timed
    )

    def read(number: int, rate: int) -> Tensor:
        return read_audio(folder / "audio" / names[number], rate)

    return Recordings(tuple(names), targets, read, events), len(annotated) - len(names)
