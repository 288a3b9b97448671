"""Pictures of a bench: accuracy against cost, of the suites that compare methods."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from frami import charts, files
from frami.bench.page import COMPARED, Row, grouped, picture_of

# Where the name of a point may stand, in points from it.
CORNERS = ((5, 3), (5, -10), (-5, 3), (-5, -10))
POINT = 4  # half its size, in points


def write(rows: list[Row], folder: Path) -> None:
    """Write a picture for each task of the suites that compare methods."""
    compared = [row for row in rows if row["suite"] in COMPARED]
    for (suite, task, fold, teacher), group in grouped(compared, "suite", "task", "fold", "teacher").items():
        # What a GPU does is not in the seconds of the CPU.
        unit = "seconds" if "cuda" in group[0]["machine"] else "CPU seconds"
        names = [f"{part}_{'s' if unit == 'seconds' else 'cpu_s'}" for part in ("synthesis", "distillation")]
        points = {}
        for (source,), of_source in grouped(group, "source").items():
            # Seconds are rounded, and the axis has no 0.
            cost = [max(1.0, sum(float(row[name]) for name in names)) for row in of_source]
            points[source] = (statistics.mean(cost), [float(row["accuracy"]) for row in of_source])
        figure = accuracy_against_cost(points, float(group[0]["teacher_accuracy"]), unit)
        files.write_bytes(folder / picture_of(suite, task, fold, teacher), charts.png(figure))


def accuracy_against_cost(points: Mapping[str, tuple[float, Sequence[float]]], teacher: float, unit: str) -> Figure:
    """Return the accuracy of students over what they cost.

    Args:
        points: By what a student learned from: its cost, and the accuracy of each seed.
        teacher: Accuracy of the teacher, drawn as a line.
        unit: Of the cost.
    """
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    ax = figure.subplots()
    ax.axhline(teacher, color="0.6", linestyle="--", linewidth=1)
    ax.annotate("teacher", (1, teacher), xycoords=("axes fraction", "data"), ha="right", va="bottom", color="0.4")
    for name, (seconds, accuracies) in points.items():
        mean, low, high = np.mean(accuracies), min(accuracies), max(accuracies)
        known = name.startswith(("recordings", "other recordings", "noise"))
        ax.errorbar(
            seconds,
            mean,
            yerr=[[mean - low], [high - mean]],
            marker="s" if known else "o",
            color="C3" if name.startswith("FRAMI") else "0.5" if known else "C0",
            capsize=2,
        )
    ax.set_xscale("log")
    ax.set(xlabel=f"{unit} of synthesis and distillation", ylabel="accuracy on recordings")
    ax.grid(alpha=0.3)
    figure.draw_without_rendering()  # the layout moves points
    _name(ax, {name: (seconds, float(np.mean(accuracies))) for name, (seconds, accuracies) in points.items()})
    return figure


def _name(ax: Axes, places: Mapping[str, tuple[float, float]]) -> None:
    """Write the name of each point beside it, at the first corner where it covers neither a point nor another name."""
    radius = POINT * ax.figure.dpi / 72
    taken = [Bbox([where - radius, where + radius]) for where in ax.transData.transform(list(places.values()))]
    for name, place in places.items():
        text = ax.annotate(name, place, xytext=CORNERS[0], textcoords="offset points", fontsize=charts.SMALL)
        for corner in (*CORNERS, CORNERS[0]):
            text.xyann = corner
            text.set_horizontalalignment("left" if corner[0] > 0 else "right")
            box = text.get_window_extent()
            if box.x1 <= ax.bbox.x1 and not box.count_overlaps(taken):
                break
        taken.append(box)
