"""Tables that data sets come with, csv or between tabs; what is wrong in one is told with its file and line."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from frami.core.errors import UsageError

Row = dict[str, str]


class _Tabs(csv.excel_tab):
    """Cells between tabs, where a quote may be part of a name; `_bare` takes off those around a whole cell."""

    quoting = csv.QUOTE_NONE


def read_rows(
    path: Path, columns: tuple[str, ...], *, absent: str, delimiter: str = ","
) -> list[Row]:
    """Return the rows of a table, as `numbered` does, without their lines."""
    return [row for _, row in read_numbered_rows(path, columns, absent=absent, delimiter=delimiter)]


def read_numbered_rows(
    path: Path, columns: tuple[str, ...], *, absent: str, delimiter: str = ","
) -> list[tuple[int, Row]]:
    """Return the rows of a table, of each the line that it stands in and these columns.

    Args:
        path: The table, with a head.
        columns: What it must have.
        absent: What to say if there is no such file.
        delimiter: What stands between two cells: a comma or a tab.

    Raises:
        WrongUse: there is no such file, it is no text, it is empty or lacks a column, or a row has not as many cells as the head.
    """
    if not path.is_file():
        raise UsageError(absent)
    try:
        reader = csv.DictReader(
            read_text(path).splitlines(), dialect=_Tabs if delimiter == "\t" else csv.excel
        )
        lacking = [column for column in columns if column not in (reader.fieldnames or ())]
        if lacking:
            there = ", ".join(reader.fieldnames or ()) or "none"
            raise UsageError(
                f"{path} has no column {', '.join(lacking)}; {', '.join(columns)} are needed, and there are: {there}."
            )
        found = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise UsageError(f"{path} is no table ({error}); copy it again.") from error
    if not found:
        raise UsageError(f"{path} holds no annotation; copy it again.")
    for line, row in found:
        if None in row or None in row.values():
            raise UsageError(
                f"{path}, line {line} has not as many cells as the head has columns; mend this line."
            )
    return [(line, {name: _unquote(row[name]) for name in columns}) for line, row in found]


def _unquote(cell: str) -> str:
    """Return what is in a cell; between tabs, some programs quote all that has a comma in it."""
    cell = cell.strip()
    return cell[1:-1].strip() if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


def read_text(path: Path) -> str:
    """Return what is in a text file, without the mark that some programs put at its beginning."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text in UTF-8 ({error}); copy it again.") from error


def parse_number(cell: str, what: str, path: Path, line: int) -> float:
    """Return the number in a cell."""
    try:
        found = float(cell)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise UsageError(f"{path}, line {line}: {what} is {cell!r}; a number is needed there.")
    return found
