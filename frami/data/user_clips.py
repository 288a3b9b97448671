"""Clips of a user's own folder: from one folder for each class, or from the rows of a table."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from frami.core.errors import UsageError
from frami.core.text import count, preview
from frami.data.annotations import Event, EventList
from frami.data.audio_files import describe_unlisted
from frami.data.contents import AUDIO_SUFFIXES, parts_of, walk_audio
from frami.data.faults import Faults
from frami.data.listed_files import file_finder
from frami.data.listing import Listing, Row

TRAIN, VALIDATION, TEST = "train", "validation", "test"
FOLD_NAMES = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("validation", "validate", "valid", "val", "dev"), VALIDATION),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), TEST),
}


@dataclass(frozen=True)
class UserClip:
    """One clip.

    Attributes:
        name: Path below the folder.
        labels: Its labels: one in single-label data.
        fold: The fold that the user chose; empty if none.
        group: The group that the user named; empty if none.
        events: Its events, or None if their times are unknown or it has none.
    """

    name: str
    labels: tuple[str, ...]
    fold: str = ""
    group: str = ""
    events: tuple[Event, ...] | None = None


@dataclass(frozen=True)
class UserClips:
    """The clips of a folder, whether their files can be used or not.

    Attributes:
        clips: The clips, sorted by name.
        task: Name of the task that they are annotated for.
        group_column: Name of the column that the groups come from; empty if there is none.
        unusable: One sentence for each clip that was left out.
        unlisted: One sentence on audio files that the table does not list; empty if there are none.
    """

    clips: tuple[UserClip, ...]
    task: str = "single-label"
    group_column: str = ""
    unusable: tuple[str, ...] = ()
    unlisted: str = ""


def fold_name(name: str) -> str:
    """Return the usual name of a fold; another name is returned as it is.

    >>> fold_name("Training"), fold_name("val"), fold_name("fold_03"), fold_name("B")
    ('train', 'validation', '3', 'B')
    """
    return _usual_fold_name(name) or name


def _usual_fold_name(name: str) -> str | None:
    number = re.fullmatch(r"fold[ _-]?0*(\d+)", name.lower())
    return number[1] if number else FOLD_NAMES.get(name.lower())


def read_class_folders(folder: Path) -> UserClips:
    """Return the clips of a folder that has one folder for each class.

    If all folders are named like folds (``train`` and ``test``, or ``fold1``, ``fold2``, ...), the
    folders in them are the classes.

    Raises:
        UsageError: There is no audio, or the folders have another layout.
    """
    names = list(walk_audio(folder))
    if not names:
        raise UsageError(
            f"{folder} has no audio files ({', '.join(AUDIO_SUFFIXES)}). `data` must be a folder "
            f"with one folder for each class, or with a table of files and labels."
        )
    parts = parts_of(folder, names)
    top = sorted({path[0] for path in parts if len(path) > 1})
    if not top:
        raise UsageError(
            f"{folder} has audio files, but nothing tells their classes. Move the files of each "
            f"class into a folder of its name, or add a table (csv) with the columns file and "
            f"label."
        )
    depth = 2 if len(top) > 1 and all(map(_usual_fold_name, top)) else 1
    _check_depth(folder, parts, depth)
    clips = [
        UserClip(
            name,
            (unicodedata.normalize("NFC", path[-2]),),
            fold=fold_name(path[0]) if depth == 2 else "",
        )
        for name, path in zip(names, parts, strict=True)
        if len(path) == depth + 1
    ]
    loose = [f"{folder / name} is in no class folder." for name in names if "/" not in name]
    return UserClips(tuple(clips), unusable=tuple(loose))


def _check_depth(folder: Path, parts: Iterable[Sequence[str]], depth: int) -> None:
    """Raise `UsageError` if audio lies deeper than the class folders, or directly in a fold's."""
    for path in parts:
        if 1 < len(path) <= depth:
            raise UsageError(
                f"{folder} has folders named like folds, but {folder / path[0]} has audio outside "
                f"class folders ({path[-1]}). Put one folder for each class into each fold."
            )
        if len(path) > depth + 1:
            parent = folder.joinpath(*path[:depth])
            raise UsageError(
                f"{parent} has a folder of its own with audio ({path[depth]}), but the folders "
                f"in {parent.parent} name the classes. Move the files of each class into one "
                f"folder, pass another folder as `data`, or list the files in a table (csv)."
            )


def read_listed_clips(folder: Path, listing: Listing) -> UserClips:
    """Return the clips of a user's table; a file has one row, or one row for each of its events.

    Raises:
        UsageError: No listed file is there, or rows contradict each other.
    """
    names = list(walk_audio(folder))
    find = file_finder(folder, names, listing.path)
    rows_of: dict[str, list[Row]] = defaultdict(list)
    absent: dict[str, str] = {}
    faults = Faults()
    for row in listing.rows:
        name = None
        with faults.collect():
            name = find(row)
        if name:
            rows_of[name].append(row)
        else:
            place = f"line {row.line} of {listing.path.name}"
            absent.setdefault(row.file, f"{folder / row.file} ({place}) is not there.")
    if not rows_of:
        faults.check()
        raise UsageError(
            f"None of the {count(len(absent), 'file')} in {listing.path} is in {folder} (such as "
            f"{next(iter(absent))}). Write the paths below that folder."
        )
    task = _find_task(listing)
    clips = []
    for name in sorted(rows_of):
        with faults.collect():
            clips.append(_merge_rows(listing.path, name, rows_of[name], task))
    faults.check()
    return UserClips(
        tuple(clips),
        task,
        listing.columns.get("group", ""),
        tuple(absent.values()),
        describe_unlisted(sorted(set(names) - rows_of.keys()), listing.path.name),
    )


def _find_task(listing: Listing) -> str:
    if any(row.times for row in listing.rows):
        return "sound-events"
    several = any(len(row.labels) > 1 for row in listing.rows)
    return "multi-label" if several else "single-label"


def _merge_rows(table: Path, name: str, rows: Sequence[Row], task: str) -> UserClip:
    """Return the clip of the rows of one file; refuse rows that contradict each other."""
    for first, other in zip(rows, rows[1:], strict=False):
        lines = f"{table}, lines {first.line} and {other.line}: {name}"
        if first.fold != other.fold or first.group != other.group:
            role = "fold" if first.fold != other.fold else "group"
            values = f"{getattr(first, role)!r} and {getattr(other, role)!r}"
            raise UsageError(f"{lines} is in two {role}s, {values}. Keep one of them.")
        if task == "single-label" and first.labels != other.labels:
            values = f"{_text(first.labels)} and {_text(other.labels)}"
            raise UsageError(
                f"{lines} has two labels, {values}. Keep one of them, or write both in one cell, "
                f"separated by a semicolon, for clips with several labels."
            )
        if bool(first.times) != bool(other.times):
            raise UsageError(f"{lines} has an event with times and one without; add the times.")
    first = rows[0]
    labels = tuple(dict.fromkeys(label for row in rows for label in row.labels))
    if task == "single-label" and not labels:
        raise UsageError(f"{table}, line {first.line}: {name} has no label; add it.")
    events = _merge_events(table, rows) if task == "sound-events" else None
    if events == () and labels:  # labels without times
        events = None
    return UserClip(name, labels, fold_name(first.fold), first.group, events)


def _merge_events(table: Path, rows: Sequence[Row]) -> tuple[Event, ...]:
    events = EventList()
    for row in rows:
        place = f"{table}, line {row.line}, {row.file}"
        if row.times and not row.labels:
            raise UsageError(f"{place}: the event has no label; add it.")
        for label in row.labels if row.times else ():
            onset, offset = map(str, row.times or ())
            events.add(onset, offset, label, place, overlap=True)
    return tuple(events.sorted())


def _text(labels: Sequence[str]) -> str:
    return preview(labels) or "none"
