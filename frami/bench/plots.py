"""Pictures of a bench: accuracy against cost, of the suites that compare methods."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import LogFormatter
from matplotlib.transforms import Bbox, BboxBase

from frami.bench.report import COMPARED, Row, group_by, picture_name
from frami.core import files
from frami.reporting import charts

# Where the name of a point may stand, in points from it.
PLACES = tuple((right, up) for up in (3, -10, 12, -19) for right in (5, -5))
POINT = 4  # half its size, in points


def write_plots(rows: list[Row], folder: Path) -> None:
    """Write a picture for each task of the suites that compare methods."""
    compared = [row for row in rows if row["suite"] in COMPARED]
    for (suite, task, fold, teacher), group in group_by(
        compared, "suite", "task", "fold", "teacher"
    ).items():
        # What a GPU does is not in the seconds of the CPU.
        unit = (
            "seconds"
            if any(f", {kind}" in group[0]["machine"] for kind in ("cuda", "mps"))
            else "CPU seconds"
        )
        names = [
            f"{part}_{'s' if unit == 'seconds' else 'cpu_s'}"
            for part in ("synthesis", "distillation")
        ]
        points = {}
        for (source,), of_source in group_by(group, "source").items():
            # Seconds are rounded, and the axis has no 0.
            cost = [max(1.0, sum(float(row[name]) for name in names)) for row in of_source]
            points[source] = (statistics.mean(cost), [float(row["accuracy"]) for row in of_source])
        # As in the table, the teacher that most rows of a seed had.
        seeds = group_by(group, "seed").values()
        teachers = [
            statistics.mode(float(row["teacher_accuracy"]) for row in of_seed) for of_seed in seeds
        ]
        figure = accuracy_against_cost(points, statistics.mean(teachers), unit)
        files.write_bytes(folder / picture_name(suite, task, fold, teacher), charts.to_png(figure))


def accuracy_against_cost(
    points: Mapping[str, tuple[float, Sequence[float]]], teacher: float, unit: str
) -> Figure:
    """Return the accuracy of students over what they cost.

    Args:
        points: By what a student learned from: its cost, and the accuracy of each seed.
        teacher: Accuracy of the teacher, mean over seeds, drawn as a line.
        unit: Of the cost.
    """
    figure = Figure(figsize=(8.5, 4.5), layout="constrained")
    ax = figure.subplots()
    ax.axhline(teacher, color="0.6", linestyle="--", linewidth=1)
    ax.annotate(
        "teacher", (1.01, teacher), xycoords=("axes fraction", "data"), va="center", color="0.4"
    )
    for name, (seconds, accuracies) in points.items():
        mean, low, high = np.mean(accuracies), min(accuracies), max(accuracies)
        known = name.startswith(("recordings", "other recordings", "noise"))
        ax.errorbar(
            seconds,
            mean,
            # The mean of equal accuracies may be beside them by a rounding.
            yerr=np.clip([[mean - low], [high - mean]], 0, None),
            marker="s" if known else "o",
            color="C3" if name.startswith("FRAMI") else "0.5" if known else "C0",
            capsize=2,
        )
    ax.set_xscale("log")
    # 200 and not 2 x 10^2, which is too wide for its place.
    ax.xaxis.set_major_formatter(LogFormatter())
    ax.xaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.4)))
    ax.set(xlabel=f"{unit} of synthesis and distillation", ylabel="accuracy on recordings")
    ax.grid(alpha=0.3)
    figure.draw_without_rendering()  # the layout moves points
    _name(
        ax,
        {
            name: (seconds, float(np.mean(accuracies)))
            for name, (seconds, accuracies) in points.items()
        },
    )
    return figure


def _name(ax: Axes, points: Mapping[str, tuple[float, float]]) -> None:
    """Write the name of each point beside it, where it covers fewest of the points and of the names written so far."""
    radius = POINT * ax.figure.dpi / 72
    taken = [
        Bbox([where - radius, where + radius])
        for where in ax.transData.transform(list(points.values()))
    ]
    for name, point in points.items():
        text = ax.annotate(
            name, point, xytext=PLACES[0], textcoords="offset points", fontsize=charts.SMALL
        )
        text.set_in_layout(False)
        covered = {place: _covered(_at(text, place), taken, ax.bbox) for place in PLACES}
        taken.append(_at(text, min(PLACES, key=covered.__getitem__)))


def _at(text: Annotation, place: tuple[int, int]) -> Bbox:
    """Move a name to a place; return what it then covers."""
    text.xyann = place
    text.set_horizontalalignment("left" if place[0] > 0 else "right")
    return text.get_window_extent()


def _covered(box: Bbox, taken: Sequence[BboxBase], inside: BboxBase) -> int:
    """Return how much a name is in the way of; an edge counts as much as another name."""
    return box.count_overlaps(taken) + (
        box.x0 < inside.x0 or box.x1 > inside.x1 or box.y0 < inside.y0
    )
