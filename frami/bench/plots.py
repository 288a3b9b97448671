"""Plots of quality against cost, for the suites that compare methods."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from frami.bench.report import PLOTTED, picture_name
from frami.bench.rows import Row, sections
from frami.core import files
from frami.reporting import charts
from frami.reporting.cost_chart import draw_costs


def write_plots(rows: Sequence[Row], folder: Path) -> None:
    """Write a figure for each section of the suites that have plots."""
    for section, group in sections(row for row in rows if row["suite"] in PLOTTED).items():
        figure = draw_costs(group, connect=section[0] == "curves")
        files.write_bytes(folder / picture_name(*section), charts.to_png(figure))
