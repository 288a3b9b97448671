"""Annotations of events: tables of file name, onset, offset and label, as DESED and URBAN-SED have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import soundfile

from frami.core.errors import OperationError, UsageError
from frami.data import tables

COLUMNS = ("filename", "onset", "offset", "event_label")
TOLERANCE_SECONDS = (
    0.2  # s; annotators round, and some of DESED's events end 0.12 s after their clip
)


@dataclass(frozen=True)
class Event:
    """A sound of one class, from ``onset`` to ``offset`` (s)."""

    onset: float
    offset: float
    label: str


def read_strong_labels(path: Path) -> dict[str, list[Event]]:
    """Return the events of each file of a tab-separated table; a row without a label says that a file has none.

    Raises:
        WrongUse: no such table, other columns, an offset before its onset, or two events of one label that overlap.
    """
    found: dict[str, list[Event]] = {}
    for number, row in _numbered(path, COLUMNS):
        events = found.setdefault(row["filename"], [])
        where = f"{path}, line {number}, {row['filename']}"
        if not row["event_label"] and (row["onset"] or row["offset"]):
            raise UsageError(
                f"{where}: there are times, and no event_label; add it, or take the times out."
            )
        if row["event_label"]:
            _add(events, row["onset"], row["offset"], row["event_label"], where)
    return found


def read_event_file(path: Path, labels: tuple[str, ...]) -> list[Event]:
    """Return the events of one file's table without a head: onset, offset and label, between tabs.

    Events of one label that overlap, as URBAN-SED has them, are one event.
    """
    events: list[Event] = []
    for number, line in enumerate(tables.read_text(path).splitlines(), 1):
        cells = line.split("\t")
        if len(cells) != 3 or cells[2] not in labels:
            raise UsageError(
                f"{path}, line {number} is {line!r}; onset, offset and one of {', '.join(labels)} are needed."
            )
        _add(events, cells[0], cells[1], cells[2], f"{path}, line {number}", overlap=True)
    return events


def _add(
    events: list[Event], onset: str, offset: str, label: str, where: str, *, overlap: bool = False
) -> None:
    """Add an event; those of its label that it touches, or overlaps where that is allowed, become one with it."""
    try:
        event = Event(float(onset), float(offset), label)
    except ValueError as error:
        raise UsageError(f"{where}: onset and offset are seconds; {error}.") from error
    what = f"{where}: {label} from {event.onset} to {event.offset} s"
    if not 0 <= event.onset < event.offset:
        raise UsageError(
            f"{what}; an event begins at 0 or later and ends after that: mend this line."
        )
    met = [
        e
        for e in events
        if e.label == label and e.onset <= event.offset and event.onset <= e.offset
    ]
    if not overlap and any(e.onset < event.offset and event.onset < e.offset for e in met):
        raise UsageError(f"{what} overlaps another event of that label; make them one event.")
    whole = Event(min(e.onset for e in [event, *met]), max(e.offset for e in [event, *met]), label)
    events[:] = sorted(
        [*(e for e in events if e not in met), whole], key=lambda e: (e.onset, e.label)
    )


def read_weak_labels(path: Path) -> dict[str, list[str]]:
    """Return the labels of each file of a table with the columns filename and event_labels (separated by commas).

    Raises:
        WrongUse: no such table, other columns, or a file without a label.
    """
    found: dict[str, list[str]] = {}
    for row in read_annotation_rows(path, ("filename", "event_labels")):
        named = [label.strip() for label in row["event_labels"].split(",")]
        found.setdefault(row["filename"], []).extend(label for label in named if label)
    for name, named in found.items():
        if not named:
            raise UsageError(f"{path} names no label for {name}; add one, or take the line out.")
    return found


def read_annotation_rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Return the rows of a tab-separated table with at least these columns."""
    return [row for _, row in _numbered(path, columns)]


def _numbered(path: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    absent = f"There is no {path}; --data names the folder that holds metadata/ and audio/."
    return tables.read_numbered_rows(path, columns, absent=absent, delimiter="\t")


def read_durations(path: Path) -> dict[str, float]:
    """Return how long each file of a table with the columns filename and duration is (s)."""
    listed = _numbered(path, ("filename", "duration"))
    return {
        row["filename"]: tables.parse_number(row["duration"], "duration", path, line)
        for line, row in listed
    }


def check_events_within_clips(
    folder: Path, annotated: Mapping[str, list[Event]], lengths: Mapping[str, float] | None = None
) -> None:
    """Refuse events that begin or end after their file ends, and files of another length than is written of them."""
    for name, events in annotated.items():
        last = max(events, key=lambda event: event.offset, default=None)
        written = (lengths or {}).get(name)
        if last is None and written is None:
            continue
        try:
            seconds = soundfile.info(folder / name).duration
        except soundfile.SoundFileError as error:
            raise OperationError(
                f"{folder / name} is not readable audio ({error}); copy it again."
            ) from error
        if written is not None and abs(written - seconds) > TOLERANCE_SECONDS:
            raise UsageError(
                f"{folder / name} lasts {seconds:.2f} s and is annotated as of {written:.2f} s; copy the file again."
            )
        late = next((event for event in events if event.onset >= seconds), None)
        if late is not None:
            raise UsageError(
                f"{folder / name} lasts {seconds:.2f} s, and {late.label} is annotated from {late.onset} s on, after its end; "
                "mend the annotation, or copy the file again."
            )
        if last is not None and last.offset > seconds + TOLERANCE_SECONDS:
            raise UsageError(
                f"{folder / name} lasts {seconds:.2f} s, and {last.label} is annotated up to {last.offset} s in it; "
                "mend the annotation, or copy the file again."
            )


DESED_SYNTHETIC = "train/synthetic21_train/soundscapes"


DESED_FOLDS = {"validation": "validation/validation"}


DESED_DURATIONS = {"validation": "metadata/validation/validation_durations.tsv"}
