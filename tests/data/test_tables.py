"""Tables: quoted cells are read as written, and wrong tables are refused with file and line."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frami.core.errors import UsageError
from frami.data.tables import parse_flag, parse_number, read_numbered_rows, read_rows, read_text

COLUMNS = ("filename", "label")
# Any printable text, quotes and commas included, without spaces at its ends: they are removed.
CELLS = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=("Cc", "Zs", "Cf")),
    min_size=1,
    max_size=8,
)
ROWS = st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5)


def read(content: str, delimiter: str) -> list[tuple[str, ...]]:
    """Return the rows of a table with this content."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table"
        path.write_text(content, encoding="utf-8", newline="")
        rows = read_rows(path, COLUMNS, absent="", delimiter=delimiter)
    return [tuple(row[name] for name in COLUMNS) for row in rows]


def unquoted(cell: str) -> str:
    """Return a cell without the quotes around it, as the reader must."""
    return cell[1:-1].strip() if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


@settings(deadline=None, max_examples=50)
@given(ROWS)
def test_read_rows_of_csv_returns_what_csv_wrote(rows: list[tuple[str, str]]) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerows([COLUMNS, *rows])
    assert read(buffer.getvalue(), ",") == [tuple(map(unquoted, row)) for row in rows]


@settings(deadline=None, max_examples=50)
@given(ROWS, st.booleans())
def test_read_rows_between_tabs_ignores_quotes_around_cells(
    rows: list[tuple[str, str]], quoted: bool
) -> None:
    pattern = '"{}"\t"{}"' if quoted else "{}\t{}"
    lines = ["\t".join(COLUMNS), *(pattern.format(*row) for row in rows)]
    expected = rows if quoted else [tuple(map(unquoted, row)) for row in rows]
    assert read("\n".join(lines) + "\n", "\t") == expected


def test_read_numbered_rows_counts_lines_from_the_header(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("filename,label,extra\na.wav,x,1\n\nb.wav,y,2\n")
    rows = read_numbered_rows(path, COLUMNS, absent="")
    assert rows == [
        (2, {"filename": "a.wav", "label": "x"}),
        (4, {"filename": "b.wav", "label": "y"}),
    ]


def test_read_numbered_rows_keeps_line_ends_within_a_quoted_cell(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b'filename,label\r\na.wav,"a dog\nand rain"\r\nb.wav,y\r\n')
    rows = read_numbered_rows(path, COLUMNS, absent="")
    assert [(line, row["label"]) for line, row in rows] == [(3, "a dog\nand rain"), (4, "y")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"filename,fold\na.wav,1\n", "has no column label. It must have filename, label; its"),
        (b"", "its columns are: none"),
        (b"filename,label\n", "has no rows below its header"),
        (b"filename,label\na.wav\n", "line 2 does not have as many cells as the header"),
        (b"filename,label\na.wav,x\nb.wav,y,z\n", "line 3 does not have as many cells"),
        ("filename,label\na.wav,Möwe\n".encode("latin-1"), "is not UTF-8 text"),
    ],
)
def test_read_rows_of_a_wrong_table_is_refused(
    content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_rows(tmp_path / "table.csv", COLUMNS, absent="")


def test_read_rows_without_a_file_uses_the_given_message(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Where is it?"):
        read_rows(tmp_path / "table.csv", COLUMNS, absent="Where is it?")


def test_read_text_removes_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("filename", encoding="utf-8-sig")
    assert read_text(tmp_path / "a.txt") == "filename"


@pytest.mark.parametrize("cell", ["dog", "nan", "inf", ""])
def test_parse_number_of_another_cell_is_refused(cell: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"a.csv, line 7: target is '{cell}'; it must be a number"):
        parse_number(cell, "target", tmp_path / "a.csv", 7)
    assert parse_number("2.5", "target", tmp_path / "a.csv", 7) == 2.5


def test_parse_flag_accepts_the_forms_of_spreadsheets(tmp_path: Path) -> None:
    cells = {"True": True, "TRUE": True, "1": True, "1.0": True, "False": False, "0": False}
    for cell, value in cells.items():
        assert parse_flag(cell, "esc10", tmp_path, 2) is value
    with pytest.raises(UsageError, match="line 2: esc10 is 'yes'; it must be True or False"):
        parse_flag("yes", "esc10", tmp_path, 2)


def test_rows_that_are_shorter_than_a_wide_header_take_little_memory(tmp_path: Path) -> None:
    header = ",".join(f"c{number}" for number in range(20_000))
    (tmp_path / "a.csv").write_text(header + "\n" + "x\n" * 20_000)
    with pytest.raises(UsageError, match="There are 20000 faults"):
        read_rows(tmp_path / "a.csv", ("c0",), absent="")


def test_a_pipe_in_place_of_a_table_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")
    with pytest.raises(UsageError, match="is not a file"):
        read_text(tmp_path / "a.txt")
