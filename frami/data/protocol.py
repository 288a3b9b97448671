"""Read the official table of a data set, and check that its rows do not contradict each other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from frami.core.errors import UsageError
from frami.data import tables
from frami.data.faults import Faults


@dataclass(frozen=True)
class Table:
    """A csv file with one row for each clip.

    Attributes:
        path: Its path below the data set's folder.
        file: Name of the column with the name of the file.
        fold: Name of the column with the number of the fold.
        target: Name of the column with the number of the class.
        label: Name of the column with the name of the class.
        flag: Name of a column of True and False; empty if there is none.
        file_name: Regular expression of the names of files without suffix. Its groups ``fold`` and
            ``target`` are what a name says of the clip. Clips of one class with the same ``source``
            must be in one fold.
    """

    path: str
    file: str
    fold: str
    target: str
    label: str
    flag: str = ""
    file_name: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(filter(None, (self.file, self.fold, self.target, self.label, self.flag)))


class ProtocolClip(NamedTuple):
    """One row: a clip with its fold and its class."""

    file: str
    fold: str
    target: int
    label: str
    flag: bool


def read_protocol(table: Table, folder: Path, absent: str) -> list[ProtocolClip]:
    """Return the rows of a data set's table; equal rows count once.

    Args:
        table: The table.
        folder: Folder of the data set.
        absent: Error message for a table that does not exist.

    Raises:
        UsageError: There is no such table, it lacks a column, a cell is wrong, or rows contradict
            each other: a class with two names, a name of two classes, a file with two rows, or a
            file whose name says another fold or class.
    """
    path, faults = folder / table.path, Faults()
    lines: dict[ProtocolClip, int] = {}
    for line, row in tables.read_numbered_rows(path, table.columns, absent=absent):
        with faults.collect():
            lines.setdefault(_parse(table, path, line, row), line)
    for find in (_contradictions, _other_names):
        for sentence in find(table, path, lines):
            faults.add(sentence)
    faults.check()
    return list(lines)


def _parse(table: Table, path: Path, line: int, row: tables.Row) -> ProtocolClip:
    """Return a row; a spreadsheet may have written ``1.0`` for ``1`` and ``TRUE`` for ``True``."""
    for column in (table.file, table.label):
        if not row[column]:
            raise UsageError(f"{path}, line {line}: {column} is empty; write it there.")
    fold, target = (
        tables.parse_integer(row[column], column, path, line)
        for column in (table.fold, table.target)
    )
    flag = bool(table.flag) and tables.parse_flag(row[table.flag], table.flag, path, line)
    return ProtocolClip(row[table.file], str(fold), target, row[table.label], flag)


def _other_names(table: Table, path: Path, lines: dict[ProtocolClip, int]) -> Iterator[str]:
    """Yield one sentence for each file whose name contradicts its row, or that of another file."""
    if not table.file_name:
        return
    sources: dict[tuple[str, int], ProtocolClip] = {}
    for clip, line in lines.items():
        named = re.fullmatch(table.file_name, Path(clip.file).stem)
        groups = named.groupdict() if named else {}
        if source := groups.pop("source", None):
            first = sources.setdefault((source, clip.target), clip)
            if first.fold != clip.fold:
                yield (
                    f"{path}, lines {lines[first]} and {line}: {first.file} and {clip.file} are of "
                    f"one recording, but in the folds {first.fold} and {clip.fold}. Copy the table "
                    f"again."
                )
        for name, said in groups.items():
            own = getattr(clip, name)
            if not tables.is_position(said) or int(said) != int(own):
                yield (
                    f"{path}, line {line}: {getattr(table, name)} is {own}, but the name of the "
                    f"file {clip.file} says {said}. Correct the line, or copy the table again."
                )


def _contradictions(table: Table, path: Path, lines: dict[ProtocolClip, int]) -> Iterator[str]:
    """Yield one sentence for each pair of rows that contradict each other."""
    files: dict[str, ProtocolClip] = {}
    names: dict[int, ProtocolClip] = {}
    targets: dict[str, ProtocolClip] = {}
    told: set[tuple[int, str]] = set()
    for clip, line in lines.items():
        file = files.setdefault(Path(clip.file).stem, clip)
        if file != clip:
            yield (
                f"{path}, lines {lines[file]} and {line}: {clip.file} is listed twice: "
                f"{_difference(table, file, clip)}. Keep one of the lines."
            )
        name, target = names.setdefault(clip.target, clip), targets.setdefault(clip.label, clip)
        if (clip.target, clip.label) in told:
            continue
        told.add((clip.target, clip.label))
        if name.label != clip.label:
            yield (
                f"{path}, lines {lines[name]} and {line}: {table.target} {clip.target} has the "
                f"names {name.label!r} and {clip.label!r}. Correct one of them."
            )
        if target.target != clip.target:
            yield (
                f"{path}, lines {lines[target]} and {line}: the class {clip.label!r} has the "
                f"numbers {target.target} and {clip.target}. Correct one of them."
            )


def _difference(table: Table, one: ProtocolClip, other: ProtocolClip) -> str:
    return ", ".join(
        f"{getattr(table, name)} {getattr(one, name)} and {getattr(other, name)}"
        for name in ("file", "fold", "target", "label", "flag")
        if getattr(one, name) != getattr(other, name)
    )
