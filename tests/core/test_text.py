"""Text for the terminal."""

from __future__ import annotations

from frami.core.text import format_rows, format_table


def test_format_rows_long_value_is_wrapped_and_cut_after_three_lines() -> None:
    lines = format_rows([("labels", "word " * 200), ("task", "single-label")]).splitlines()
    assert len(lines) == 4 and lines[0].startswith("labels        word")
    assert lines[2].endswith(" ...") and lines[3] == "task          single-label"
    assert all(len(line) <= 100 for line in lines)


def test_format_rows_unprintable_letters_become_spaces() -> None:
    assert "\x1b" not in format_rows([("source", "a\x1b[31mb\nc")])


def test_format_table_aligns_columns_to_the_right() -> None:
    assert format_table([["name", "n"], ["a", "100"]]) == ["name    n", "   a  100"]
