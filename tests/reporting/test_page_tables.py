"""Tables of a page show the names of rows as they are."""

from __future__ import annotations

from pathlib import Path

from frami.reporting.found_runs import FoundRun
from frami.reporting.page_figures import score_tables


def test_classes_that_look_like_numbers_keep_their_names() -> None:
    labels = ["007", "7", "1_2", "2019", "1e3", "dog"]
    content = {"accuracy": 0.98765, "per_class": {label: {"clips": 2019} for label in labels}}
    totals, classes = score_tables(
        FoundRun(path=Path("scores.json"), kind="scores", content=content)
    )
    assert [row[0].text for row in classes.rows] == labels
    assert [row[0].number for row in classes.rows] == [7, 7, 12, 2019, 1000, None]
    assert classes.rows[0][1].text == "2,019" and totals.rows[0][0].text == "0.988"
