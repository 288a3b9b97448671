"""Read the tables of a data set, csv or tab-separated. Errors name the file and the line."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from pathlib import Path

from frami.core.errors import UsageError
from frami.data.faults import Faults

Row = dict[str, str]
DELIMITERS = "\t;,"
MAX_DIGITS = 18  # of a whole number


class _TabSeparated(csv.excel_tab):
    """Tab-separated cells. A quote may be part of a name; `_unquote` handles quoted cells."""

    quoting = csv.QUOTE_NONE


def read_rows(
    path: Path, columns: tuple[str, ...], *, absent: str, delimiter: str = ","
) -> list[Row]:
    """Return the rows of a table, as `read_numbered_rows` does, without their line numbers."""
    return [row for _, row in read_numbered_rows(path, columns, absent=absent, delimiter=delimiter)]


def read_numbered_rows(
    path: Path, columns: tuple[str, ...], *, absent: str, delimiter: str = ","
) -> list[tuple[int, Row]]:
    """Return the rows of a table, each with its line number; a row has the given columns only.

    Args:
        path: A table with a header.
        columns: Names of the columns to read.
        absent: Error message for a table that does not exist.
        delimiter: Usual character between two cells: a comma or a tab. A spreadsheet may have
            written another.

    Raises:
        UsageError: There is no such file, it is not text, it has no rows or lacks a column, or a
            row does not have as many cells as the header.
    """
    if not path.is_file():
        raise UsageError(absent)
    text, skipped = _without_separator_line(read_text(path))
    delimiter = _find_delimiter(text, columns, delimiter)
    dialect = _TabSeparated if delimiter == "\t" else csv.excel
    try:
        reader = csv.reader(io.StringIO(text, newline=""), dialect=dialect, delimiter=delimiter)
        header = next(reader, [])
        _check_columns(path, columns, header)
        rows = [(reader.line_num + skipped, row) for row in reader if row]
    except csv.Error as error:
        raise UsageError(f"{path} is not a table ({error}). Copy the file again.") from error
    if not rows:
        raise UsageError(f"{path} has no rows below its header. Copy the file again.")
    faults = Faults()
    for line, row in rows:
        if len(row) != len(header):
            faults.add(
                f"{path}, line {line} does not have as many cells as the header; correct this line."
            )
    faults.check()
    places = {name: len(header) - 1 - header[::-1].index(name) for name in columns}
    return [
        (line, {name: _unquote(row[place]) for name, place in places.items()}) for line, row in rows
    ]


def _find_delimiter(text: str, columns: Sequence[str], usual: str) -> str:
    """Return what separates the cells: a spreadsheet may have saved a table with semicolons."""
    header = text.partition("\n")[0]
    for delimiter in usual + DELIMITERS:
        cells = {cell.strip().strip('"') for cell in header.split(delimiter)}
        if cells.issuperset(columns):
            return delimiter
    return usual


def _without_separator_line(text: str) -> tuple[str, int]:
    """Return a text without the first line ``sep=;``, and the number of lines left out.

    Some programs write this line for Excel.
    """
    first, _, rest = text.partition("\n")
    return (rest, 1) if re.fullmatch(r"sep=.\s*", first) else (text, 0)


def _check_columns(path: Path, columns: tuple[str, ...], header: Sequence[str]) -> None:
    missing = [column for column in columns if column not in header]
    if missing:
        raise UsageError(
            f"{path} has no column {', '.join(missing)}. It must have {', '.join(columns)}; "
            f"its columns are: {', '.join(header) or 'none'}."
        )


def _unquote(cell: str) -> str:
    """Return a cell without the quotes around it and without spaces at its ends.

    In tab-separated tables, some programs quote every cell that contains a comma.
    """
    cell = cell.strip()
    return cell[1:-1].strip() if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


def read_spreadsheet(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header of a user's table, and the cells of each row with its line.

    Cells are separated by commas, semicolons or tabs. Empty rows are left out, and a first line
    ``sep=;`` as well, which some programs write for Excel.

    Raises:
        UsageError: The file is not text, or not a table.
    """
    text, skipped = _without_separator_line(read_text(path))
    header = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        stripped = ([cell.strip() for cell in row] for row in reader)
        rows = [(reader.line_num + skipped, cells) for cells in stripped if any(cells)]
    except csv.Error as error:
        raise UsageError(f"{path} is not a table ({error}). Save it again as CSV.") from error
    return (rows[0][1], rows[1:]) if rows else ([], [])


def plain_header(name: str) -> str:
    """Return the name of a column in lower case, with underscores.

    >>> plain_header("File Name"), plain_header("Onset (s)")
    ('file_name', 'onset_s')
    """
    return re.sub(r"\W+", "_", name.lower()).strip("_")


def read_text(path: Path) -> str:
    """Return the content of a UTF-8 text file, without a byte order mark.

    A pipe would be waited for, and a device may have no end: they are refused.
    """
    if not path.is_file():
        raise UsageError(f"{path} is not a file. Put the file of that name in its place.")
    try:
        # Line ends within a quoted cell are part of it, so they are kept as they are.
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path} is not UTF-8 text ({error}). Save it again as UTF-8 (of a spreadsheet, as CSV "
            f"UTF-8), or copy it again."
        ) from error


def is_position(cell: str) -> bool:
    """Return whether a cell holds digits, and not more than a number has."""
    return cell.isdecimal() and len(cell) <= MAX_DIGITS


def parse_flag(cell: str, column: str, path: Path, line: int) -> bool:
    """Return a cell that is true or false, also as a spreadsheet writes it: ``TRUE``, ``1``.

    An error names the column, file and line.
    """
    values = dict.fromkeys(("true", "1", "1.0"), True) | dict.fromkeys(("false", "0", "0.0"), False)
    if cell.lower() not in values:
        raise UsageError(f"{path}, line {line}: {column} is {cell!r}; it must be True or False.")
    return values[cell.lower()]


def parse_integer(cell: str, column: str, path: Path, line: int) -> int:
    """Return the whole number in a cell, such as ``3`` or ``3.0``; an error names its place."""
    number = parse_number(cell, column, path, line)
    if not number.is_integer():
        raise UsageError(f"{path}, line {line}: {column} is {cell!r}; it must be a whole number.")
    return int(number)


def parse_number(cell: str, column: str, path: Path, line: int) -> float:
    """Return the finite number in a cell; an error names its column, file and line."""
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{path}, line {line}: {column} is {cell!r}; it must be a number.")
    return number
