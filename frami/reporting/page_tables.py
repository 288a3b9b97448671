"""Tables of a page: rows of texts and numbers that a reader can sort."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from frami.reporting.untrusted import is_number, shown

MAX_ROWS, MAX_COLUMNS = 400, 24


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: What is shown.
        number: The number to sort by; None for a text.
    """

    text: str
    number: float | None = None


@dataclass(frozen=True)
class Table:
    """A table of a page.

    Attributes:
        caption: What the rows are.
        heads: Titles of the columns.
        rows: Cells of each row; the first names it.
        dropped: Number of rows that are left out.
    """

    caption: str
    heads: list[str]
    rows: list[list[Cell]]
    dropped: int = 0


def make_table(caption: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return a table of rows by column; columns without a value in any row are left out.

    Args:
        caption: What the rows are.
        rows: Values by name of the column. At most 400 are shown.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    used = [n for n in names if any(row.get(n) not in (None, "") for row in rows)][:MAX_COLUMNS]
    cells = [
        [
            _name_cell(row.get(name)) if name == used[0] else make_cell(row.get(name))
            for name in used
        ]
        for row in rows[:MAX_ROWS]
    ]
    titles = [shown(name).replace("_", " ") for name in used]
    return Table(caption, titles, cells, max(0, len(rows) - MAX_ROWS))


def _name_cell(value: Any) -> Cell:
    """Return the cell that names a row: a class may be called 007, and a fold 2019."""
    is_name = isinstance(value, str) and value != ""
    return Cell(_to_text(value), to_number(value)) if is_name else make_cell(value)


def make_cell(value: Any) -> Cell:
    """Return a cell; a text that is a number counts as one.

    >>> make_cell(1234567), make_cell("0.98765").text, make_cell(None).text
    (Cell(text='1,234,567', number=1234567.0), '0.988', '–')
    """
    if value is None or value == "":
        return Cell("–")
    if isinstance(value, bool):
        return Cell("yes" if value else "no")
    number = to_number(value)
    if number is None:
        return Cell(_to_text(value))
    if number == int(number) and abs(number) < 1e15:
        return Cell(f"{int(number):,}" if not isinstance(value, float) else f"{number:g}", number)
    return Cell(f"{number:,.1f}" if abs(number) >= 100 else f"{number:.3g}", number)


def to_number(value: Any) -> float | None:
    """Return a finite number, or the number in a text, as a float; None for any other value."""
    if is_number(value):
        return float(value)
    try:
        number = float(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return number if number is not None and is_number(number) else None


def facts(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return name and text of each of nested settings, at most as many as a table has rows."""
    return list(islice(_facts(values, ""), MAX_ROWS))


def _facts(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and len(prefix) < 80:
            yield from _facts(value, f"{prefix}{shown(name, 60)}.")
        else:
            yield f"{prefix}{shown(name, 60)}", _to_text(value)


def _to_text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return shown(value if isinstance(value, str) else json.dumps(value, default=str))
