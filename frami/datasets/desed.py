"""DESED, domestic sounds in clips of 10 s, in the layout of DCASE 2023 task 4.

``frami soundscapes`` writes the same layout. The only fold is ``validation``, the official
validation set. Training clips are

- the soundscapes of ``synthetic21_train``, whose events are known;
- clips with weak labels, if this copy has them: their tags are known, but not the times;
- clips without labels, if this copy has them: only distillation uses them.

Source: Turpault et al., "Sound event detection in domestic environments with weakly labeled data
and soundscape synthesis", DCASE Workshop 2019. Its audio is collected from several places, so it
cannot be downloaded here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from frami.core.errors import FramiError, UsageError
from frami.core.files import is_file
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
from frami.data.audio_files import AudioIndex, is_below
from frami.data.folds import check_fold
from frami.data.leakage import held_out_folds
from frami.data.recordings import FileReader, Recordings, Split
from frami.data.tags import positions_of, tag_rows

SECONDS = 10.0
SAMPLE_RATE = 16000
FOLDER = "desed"
WEAK = "train/weak"
UNLABELED = "train/unlabel_in_domain"

T = TypeVar("T")


@dataclass(frozen=True)
class Annotation:
    """The annotation of one clip.

    Attributes:
        labels: Names of the classes in the clip, or None if they are unknown.
        events: Its events, or None if their times are unknown.
    """

    labels: list[str] | None
    events: list[Event] | None


def test_folds(folder: Path) -> list[str]:
    """Return the official test sets in this copy: ``validation``."""
    return [name for name, part in DESED_FOLDS.items() if _table(folder, part).is_file()]


def split(folder: Path, fold: str) -> Split:
    """Return the split that tests on one official set and trains on all training clips."""
    check_fold("desed", fold, tuple(DESED_FOLDS))
    index = AudioIndex(folder / "audio")
    test = _read_events(folder, index, DESED_FOLDS[fold], folder / DESED_DURATIONS[fold])
    # An auditor's copy may hold the test clips alone.
    synthetic = {}
    if _table(folder, DESED_SYNTHETIC).is_file():
        synthetic = _read_events(folder, index, DESED_SYNTHETIC)
    weak = _read_weak_labels(folder, index)
    # Without soundscapes, the weak labels and the test set define the classes.
    labels = _class_names(synthetic or {**test, **weak})
    if not labels:
        table = _table(folder, DESED_SYNTHETIC if synthetic else DESED_FOLDS[fold])
        raise UsageError(f"{table} has no events; at least one is required.")
    training = {**synthetic, **weak, **_unlabeled(folder, index)}
    train, missing_train = _recordings(folder, training, labels)
    held_out, missing_test = _recordings(folder, test, labels)
    if not len(train) + len(held_out):
        raise UsageError(
            f"{folder / 'audio'} has none of the annotated clips. Pass another folder as `data`."
        )
    absent = missing_train + missing_test
    listed = absent + len(train) + len(held_out)
    return Split(
        "desed",
        fold,
        labels,
        train,
        held_out,
        task="sound-events",
        unlisted=index.describe_unlisted([*training, *test], "desed"),
        missing=f"{absent} of the {listed} listed clips are not in this copy." if absent else "",
        mixed_from=_mixed_from(folder),
    )


def _table(folder: Path, part: str) -> Path:
    return folder / "metadata" / f"{part}.tsv"


def _read_events(
    folder: Path, index: AudioIndex, part: str, durations: Path | None = None
) -> dict[str, Annotation]:
    """Return the annotations of a part by name below audio/, checked against its audio files."""
    table = _table(folder, part)
    events_of = _by_file(index, part, table, read_strong_labels(table))
    available = {n: e for n, e in events_of.items() if _is_there(folder, n)}
    lengths = {}
    if durations is not None and durations.is_file():
        lengths = _by_file(index, part, durations, read_durations(durations))
    check_events_within_clips(folder / "audio", available, lengths)
    return {
        name: Annotation([event.label for event in events], events)
        for name, events in events_of.items()
    }


def _is_there(folder: Path, name: str) -> bool:
    """Return whether this copy has a listed file."""
    return is_below(name) and is_file(folder / "audio" / name)


def _locate(index: AudioIndex, part: str, name: str) -> str:
    """Return the path of a listed file below audio/; as it is listed, if it is not there."""
    return index.find(f"{part}/{name}") or f"{part}/{name}"


def _by_file(index: AudioIndex, part: str, table: Path, rows: Mapping[str, T]) -> dict[str, T]:
    """Return the rows of a table by the path of their file, which two names must not share."""
    listed_as: dict[str, str] = {}
    for name in rows:
        path = _locate(index, part, name)
        if path in listed_as:
            raise UsageError(
                f"{table} lists {listed_as[path]!r} and {name!r}, but both are the file {path}. "
                f"Write one name for it, or add the other file."
            )
        listed_as[path] = name
    return {path: rows[name] for path, name in listed_as.items()}


def _read_weak_labels(folder: Path, index: AudioIndex) -> dict[str, Annotation]:
    table = _table(folder, WEAK)
    labels_of = read_weak_labels(table) if table.is_file() else {}
    of_file = _by_file(index, WEAK, table, labels_of)
    return {name: Annotation(labels, None) for name, labels in of_file.items()}


def _unlabeled(folder: Path, index: AudioIndex) -> dict[str, Annotation]:
    """Return the clips without labels: those in their table, or, without one, in their folder."""
    table = _table(folder, UNLABELED)
    names = index.names(UNLABELED)
    if table.is_file():
        rows = read_annotation_rows(table, ("filename",))
        names = [_locate(index, UNLABELED, row["filename"]) for row in rows]
    return {name: Annotation(None, None) for name in names}


def _class_names(annotations: dict[str, Annotation]) -> tuple[str, ...]:
    labels = (label for clip in annotations.values() for label in clip.labels or ())
    return tuple(sorted(set(labels)))


def _mixed_from(folder: Path) -> dict[str, str]:
    """Return the origin of the clips, if ``frami soundscapes`` mixed them, else an empty dict."""
    try:
        record = read_record(folder)
    except FramiError:  # without a record, or with the record of another program
        return {}
    if record["command"] != "soundscapes":
        return {}
    origins = held_out_folds(record.get("origin", {}))
    return origins[0] if origins else {}


def _recordings(
    folder: Path, annotations: dict[str, Annotation], labels: tuple[str, ...]
) -> tuple[Recordings, int]:
    """Return the annotated clips with their tags and events, and the number without audio."""
    _check_labels(folder, annotations, labels)
    names = [name for name in sorted(annotations) if _is_there(folder, name)]
    targets = tag_rows([annotations[name].labels for name in names], labels)
    positions = positions_of(labels)
    events = tuple(_indexed(annotations[name].events, positions) for name in names)

    read = FileReader(tuple(folder / "audio" / name for name in names))
    return Recordings(tuple(names), targets, read, events), len(annotations) - len(names)


def _check_labels(
    folder: Path, annotations: dict[str, Annotation], labels: tuple[str, ...]
) -> None:
    known = set(labels)
    for name, clip in annotations.items():
        for label in clip.labels or ():
            if label not in known:
                raise UsageError(
                    f"{folder / 'metadata'} has the label {label!r} for {name}, but no training "
                    f"soundscape has it. Allowed: {', '.join(labels)}."
                )


def _indexed(
    events: Iterable[Event] | None, positions: Mapping[str, int]
) -> tuple[tuple[float, float, int], ...] | None:
    if events is None:
        return None
    return tuple((event.onset, event.offset, positions[event.label]) for event in events)
