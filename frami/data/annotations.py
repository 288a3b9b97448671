"""Read event annotations: tables of onset, offset and label, in the formats of DESED and URBAN-SED.

DESED has one tab-separated table per part, URBAN-SED one file per clip. The names of DESED's parts
are here because `frami.data.soundscapes` writes the layout that `frami.datasets.desed` reads.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from frami.audio.decoding import open_audio
from frami.core.errors import UsageError
from frami.data import tables
from frami.data.faults import Faults

# A part is a folder below audio/ and a table below metadata/.
DESED_SYNTHETIC = "train/synthetic21_train/soundscapes"
DESED_FOLDS = {"validation": "validation/validation"}
DESED_DURATIONS = {"validation": "metadata/validation/validation_durations.tsv"}

COLUMNS = ("filename", "onset", "offset", "event_label")
# In seconds. Annotators round: some events of DESED end 0.12 s after their clip.
TOLERANCE_SECONDS = 0.2


@dataclass(frozen=True)
class Event:
    """A sound of one class, from ``onset`` to ``offset`` (s)."""

    onset: float
    offset: float
    label: str


def read_strong_labels(path: Path) -> dict[str, list[Event]]:
    """Return the events of each file in a tab-separated table, sorted by onset.

    A row without a label states that a file has no events. Events of one label that touch become
    one event.

    Raises:
        UsageError: There is no such table, it lacks a column, an offset is not after its onset, or
            two events of one label overlap.
    """
    events_of: dict[str, EventList] = {}
    faults = Faults()
    for line, row in _numbered_rows(path, COLUMNS):
        events = events_of.setdefault(row["filename"], EventList())
        place = f"{path}, line {line}, {row['filename']}"
        if row["event_label"]:
            with faults.collect():
                events.add(row["onset"], row["offset"], row["event_label"], place)
        elif row["onset"] or row["offset"]:
            faults.add(
                f"{place}: the row has times but no event_label. Add the label, or "
                f"remove the times."
            )
    faults.check()
    return {name: events.sorted() for name, events in events_of.items()}


def read_event_file(path: Path, labels: tuple[str, ...]) -> list[Event]:
    """Return the events in a clip's own table, which has no header: onset, offset and label.

    Events of one label that overlap become one event; URBAN-SED has such events.

    Raises:
        UsageError: A line does not hold two times and one of ``labels``, separated by tabs.
    """
    events = EventList()
    for number, line in enumerate(tables.read_text(path).splitlines(), 1):
        cells = line.split("\t")
        if len(cells) != 3 or cells[2] not in labels:
            raise UsageError(
                f"{path}, line {number} is {line!r}. It must hold an onset, an offset and one of "
                f"{', '.join(labels)}, separated by tabs."
            )
        events.add(cells[0], cells[1], cells[2], f"{path}, line {number}", overlap=True)
    return events.sorted()


class EventList:
    """The events of one file, each label's sorted and apart from each other."""

    def __init__(self) -> None:
        self._of_label: dict[str, list[Event]] = {}

    def sorted(self) -> list[Event]:
        """Return the events of all labels, sorted by onset."""
        events = itertools.chain(*self._of_label.values())
        return sorted(events, key=lambda event: (event.onset, event.label))

    def add(
        self, onset: str, offset: str, label: str, place: str, *, overlap: bool = False
    ) -> None:
        """Add an event, and merge it with the events of its label that it touches."""
        try:
            event = Event(float(onset), float(offset), label)
        except ValueError as error:
            raise UsageError(f"{place}: onset and offset must be seconds ({error}).") from error
        description = f"{place}: {label} from {event.onset} to {event.offset} s"
        if not 0 <= event.onset < event.offset:
            raise UsageError(
                f"{description}. An event must start at 0 s or later and end after it starts; "
                f"correct this line."
            )
        events = self._of_label.setdefault(label, [])
        first = bisect.bisect_left(events, event.onset, key=lambda e: e.offset)
        stop = bisect.bisect_right(events, event.offset, key=lambda e: e.onset)
        touching = events[first:stop]
        if not overlap and any(e.onset < event.offset and event.onset < e.offset for e in touching):
            raise UsageError(
                f"{description} overlaps another event of that label. Merge them into one event."
            )
        parts = [event, *touching]
        merged = Event(min(e.onset for e in parts), max(e.offset for e in parts), label)
        events[first:stop] = [merged]


def read_weak_labels(path: Path) -> dict[str, list[str]]:
    """Return the labels of each file in a table with the columns filename and event_labels.

    A cell of event_labels may hold several labels, separated by commas.

    Raises:
        UsageError: There is no such table, it lacks a column, or a file has no label.
    """
    labels_of: dict[str, list[str]] = {}
    for row in read_annotation_rows(path, ("filename", "event_labels")):
        labels = [label.strip() for label in row["event_labels"].split(",")]
        labels_of.setdefault(row["filename"], []).extend(label for label in labels if label)
    for name, labels in labels_of.items():
        if not labels:
            raise UsageError(f"{path} has no label for {name}. Add one, or remove the line.")
    return labels_of


def read_annotation_rows(path: Path, columns: tuple[str, ...]) -> list[tables.Row]:
    """Return the rows of a tab-separated table that has at least these columns."""
    return [row for _, row in _numbered_rows(path, columns)]


def _numbered_rows(path: Path, columns: tuple[str, ...]) -> list[tuple[int, tables.Row]]:
    absent = f"There is no {path}. `data` must be the folder that contains metadata/ and audio/."
    return tables.read_numbered_rows(path, columns, absent=absent, delimiter="\t")


def read_durations(path: Path) -> dict[str, float]:
    """Return the length of each file (s) in a table with the columns filename and duration."""
    rows = _numbered_rows(path, ("filename", "duration"))
    return {
        row["filename"]: tables.parse_number(row["duration"], "duration", path, line)
        for line, row in rows
    }


def check_events_within_clips(
    folder: Path,
    annotated: Mapping[str, list[Event]],
    durations: Mapping[str, float] | None = None,
) -> None:
    """Raise an error if an event lies after the end of its file, or a file has another length.

    Args:
        folder: Folder that the names in ``annotated`` are relative to.
        annotated: The events of each file.
        durations: The annotated length of each file (s), where it is known.

    Raises:
        UsageError: An event starts or ends after the end of its file, or the length of a file is
            not the annotated one, by more than `TOLERANCE_SECONDS`.
        OperationError: A file cannot be read as audio.
    """
    faults = Faults()
    for name, events in annotated.items():
        duration = (durations or {}).get(name)
        if events or duration is not None:
            with faults.collect():
                _check_clip(folder / name, events, duration)
    faults.check()


def _check_clip(path: Path, events: list[Event], duration: float | None) -> None:
    with open_audio(path) as file:
        seconds = file.frames / file.samplerate
    if duration is not None and abs(duration - seconds) > TOLERANCE_SECONDS:
        raise UsageError(
            f"{path} lasts {seconds:.2f} s, but its annotated duration is {duration:.2f} s. "
            f"Copy the file again."
        )
    for event in events:
        if event.onset >= seconds:
            problem = f"{event.label} is annotated from {event.onset} s, after its end"
        elif event.offset > seconds + TOLERANCE_SECONDS:
            problem = f"{event.label} is annotated up to {event.offset} s"
        else:
            continue
        raise UsageError(
            f"{path} lasts {seconds:.2f} s, but {problem}. "
            f"Correct the annotation, or copy the file again."
        )
