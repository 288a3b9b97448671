"""Read a user's own table of recordings: csv or tab-separated, with header names of many kinds.

A table has one row for each file, or for each event of a file. Programs write the same table in
many ways: other names of columns, semicolons between cells, ``TRUE`` or ``1.0`` for ``true`` or
``1``, a byte order mark, a first line ``sep=;``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from frami.core.errors import UsageError
from frami.data.contents import check_link
from frami.data.faults import Faults
from frami.data.spellings import NO_VALUES
from frami.data.tables import parse_number, plain_header, read_spreadsheet

TABLE_SUFFIXES = (".csv", ".tsv")
# The names that a column may have, in lower case and with underscores; the first is the usual one.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "file": (
        *("file", "filename", "file_name", "fname", "path", "filepath", "file_path", "audio"),
        *("audio_file", "audio_filename", "audio_path", "wav", "recording", "slice_file_name"),
    ),
    "label": (
        *("label", "labels", "class", "class_name", "classname", "category", "tag", "tags"),
        *("event_label", "event_labels", "scene_label", "species"),
    ),
    "fold": ("fold", "split", "subset", "partition"),
    "group": (
        *("group", "group_id", "speaker", "speaker_id", "source", "source_id", "src_file"),
        *("session", "session_id", "recording_id", "fsid", "patient", "patient_id"),
    ),
    "onset": ("onset", "start", "start_time", "begin", "begin_time"),
    "offset": ("offset", "end", "end_time", "stop", "stop_time"),
}
REQUIRED = ("file", "label")
SECONDS = re.compile(r"_(s|secs?|seconds)$")
OTHER_UNITS = re.compile(r"_(ms|msecs?|milliseconds?|us|min|minutes?|samples?|frames?)$")


@dataclass(frozen=True)
class Row:
    """One row: a file with its labels, or one event of a file.

    Attributes:
        line: Its line in the table.
        file: Name of the file, as written.
        labels: Its labels.
        fold: Its fold; empty if the table has none.
        group: Its group; empty if the table has none.
        times: Onset and offset of the event (s), or None.
    """

    line: int
    file: str
    labels: tuple[str, ...]
    fold: str = ""
    group: str = ""
    times: tuple[float, float] | None = None


@dataclass(frozen=True)
class Listing:
    """A user's table.

    Attributes:
        path: The table.
        rows: Its rows.
        columns: Header of the column that was read for each role, such as ``label``.
    """

    path: Path
    rows: tuple[Row, ...]
    columns: Mapping[str, str]


def find_table(folder: Path) -> Path | None:
    """Return the table in a folder, or None; of several, the only one with files and labels.

    Raises:
        UsageError: Several tables qualify, or one is a link out of the folder.
    """
    paths = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in TABLE_SUFFIXES and path.name[0] != "." and path.is_file()
    ]
    for path in paths:
        check_link(folder, path)
    if len(paths) < 2:
        return paths[0] if paths else None
    usable = [
        path for path in paths if all(_candidates(read_spreadsheet(path)[0], REQUIRED).values())
    ]
    if len(usable) > 1:
        raise UsageError(
            f"{folder} has several tables of files and labels "
            f"({', '.join(path.name for path in usable)}). Keep one of them there."
        )
    return (usable or paths)[0]


def read_listing(path: Path) -> Listing:
    """Return the rows of a user's table.

    Raises:
        UsageError: The table is not text, lacks a column for the files or the labels, has several
            columns for one purpose, or a cell is wrong.
    """
    header, lines = read_spreadsheet(path)
    columns = _find_columns(path, header)
    rows, faults = [], Faults()
    for line, cells in lines:
        if len(cells) != len(header):
            faults.add(
                f"{path}, line {line} has {len(cells)} cells, but the header has {len(header)}; "
                f"correct this line."
            )
            continue
        named = {role: cells[header.index(name)] for role, name in columns.items()}
        with faults.collect():
            rows.append(_parse_row(path, line, named))
    faults.check()
    if not rows:
        raise UsageError(f"{path} has no rows below its header; add one for each file.")
    return Listing(path, tuple(rows), columns)


def _candidates(header: Sequence[str], roles: Sequence[str]) -> dict[str, list[str]]:
    """Return the columns that may have each role; one with the usual name excludes others."""
    plain = {name: SECONDS.sub("", plain_header(name)) for name in header}
    found = {}
    for role in roles:
        names = [name for name in header if plain[name] in COLUMNS[role]]
        usual = [name for name in names if plain[name] == role]
        found[role] = usual or names
    return found


def _find_columns(path: Path, header: Sequence[str]) -> dict[str, str]:
    """Return the column of each role that the table has."""
    found = _candidates(header, list(COLUMNS))
    for role, names in found.items():
        if len(names) > 1:
            raise UsageError(
                f"{path} has {len(names)} columns for the {role} ({', '.join(names)}). "
                f"Name the right one {role!r}."
            )
    absent = [role for role in REQUIRED if not found[role]]
    if absent:
        raise UsageError(
            f"{path} has no column {' and no column '.join(map(repr, absent))}. "
            f"Its columns are: {', '.join(filter(None, header)) or 'none'}. Rename them, or remove "
            f"the table to use one folder for each class."
        )
    _check_units(path, header, found)
    if bool(found["onset"]) != bool(found["offset"]):
        one, other = ("onset", "offset") if found["onset"] else ("offset", "onset")
        raise UsageError(f"{path} has a column for the {one}, but none for the {other}; add it.")
    return {role: names[0] for role, names in found.items() if names}


def _check_units(path: Path, header: Sequence[str], found: Mapping[str, list[str]]) -> None:
    """Refuse times in another unit than seconds: events would be left out without a word."""
    for name in header:
        plain, n_units = OTHER_UNITS.subn("", plain_header(name))
        for role in ("onset", "offset"):
            if n_units and plain in COLUMNS[role] and not found[role]:
                raise UsageError(
                    f"{path} has a column {name!r}; times are read in seconds. Convert it and name "
                    f"it {role!r}, or, if it is not the {role} of an event, give it another name."
                )


def _check_value(path: Path, line: int, role: str, value: str) -> str:
    """Return a fold, group or label; refuse what programs write for a missing value."""
    if value in NO_VALUES:
        raise UsageError(
            f"{path}, line {line}: the {role} is {value!r}, which programs write for a missing or "
            f"wrong value. Correct the cell, or leave it empty."
        )
    return value


def _parse_row(path: Path, line: int, cells: Mapping[str, str]) -> Row:
    if not cells["file"]:
        raise UsageError(f"{path}, line {line} names no file; correct this line.")
    labels = tuple(dict.fromkeys(filter(None, map(_plain, cells["label"].split(";")))))
    onset, offset = cells.get("onset", ""), cells.get("offset", "")
    times = None
    if onset or offset:
        times = _parse_time(path, line, "onset", onset), _parse_time(path, line, "offset", offset)
    return Row(
        line,
        cells["file"].replace("\\", "/"),
        tuple(_check_value(path, line, "label", label) for label in labels),
        _check_value(path, line, "fold", _plain(cells.get("fold", ""))),
        _check_value(path, line, "group", _plain(cells.get("group", ""))),
        times,
    )


def _parse_time(path: Path, line: int, column: str, cell: str) -> float:
    return parse_number(cell.replace(",", "."), column, path, line)  # Excel may write 1,5


def _plain(cell: str) -> str:
    """Return a cell without what spreadsheets add: ``1.0`` is ``1``, ``TRUE`` is ``true``.

    >>> _plain(" 1.0"), _plain("TRUE"), _plain("Dog"), _plain("1.05")
    ('1', 'true', 'Dog', '1.05')
    """
    cell = cell.strip()
    if cell in ("TRUE", "FALSE", "True", "False"):
        return cell.lower()
    number = re.fullmatch(r"(\d+)\.0+", cell)
    return number[1] if number else unicodedata.normalize("NFC", cell)
