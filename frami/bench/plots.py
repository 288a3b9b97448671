"""Plots of accuracy against cost, for the suites that compare methods."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from frami.bench.report import COMPARED, picture_name
from frami.bench.rows import Row, group_by
from frami.core import files
from frami.reporting import charts
from frami.reporting.cost_chart import draw_costs


def write_plots(rows: Sequence[Row], folder: Path) -> None:
    """Write a plot for each data set of the suites that compare methods."""
    compared = [row for row in rows if row["suite"] in COMPARED]
    groups = group_by(compared, "suite", "dataset", "fold", "teacher")
    for (suite, dataset, fold, teacher), group in groups.items():
        path = folder / picture_name(suite, dataset, fold, teacher)
        files.write_bytes(path, charts.to_png(draw_costs(group)))
