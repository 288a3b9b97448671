"""Plot of the accuracy of students against their cost, with controls and the teacher."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import LogFormatter
from matplotlib.transforms import Bbox, BboxBase

from frami.reporting.charts import SMALL, escape_text

# Possible offsets of a label from its marker, in points.
OFFSETS = tuple((right, up) for up in (3, -10, 12, -19) for right in (5, -5))
MARKER_RADIUS = 4  # points
GPU_KINDS = ("cuda", "mps")
CONTROLS = ("recordings", "other recordings", "noise")

Rows = Sequence[Mapping[str, str]]


def draw_costs(rows: Rows) -> Figure:
    """Return the plot of rows of bench.csv that share data set, fold and teacher."""
    # The CPU seconds do not count what a GPU computes.
    on_gpu = any(f", {kind}" in rows[0]["machine"] for kind in GPU_KINDS)
    return accuracy_against_cost(
        _points(rows, "s" if on_gpu else "cpu_s"),
        _teacher_accuracy(rows),
        "seconds" if on_gpu else "CPU seconds",
    )


def _points(rows: Rows, unit: str) -> dict[str, tuple[float, list[float]]]:
    """Return mean cost, and the accuracy of each seed, by training source."""
    columns = [f"{part}_{unit}" for part in ("synthesis", "distillation")]
    points = {}
    for source, group in _group(rows, "source").items():
        # The seconds are rounded, and a logarithmic axis has no 0.
        costs = [max(1.0, sum(float(row[name]) for name in columns)) for row in group]
        points[source] = (statistics.mean(costs), [float(row["accuracy"]) for row in group])
    return points


def _teacher_accuracy(rows: Rows) -> float:
    """Return the teacher's mean accuracy; for each seed, the most frequent value counts."""
    return statistics.mean(
        statistics.mode(float(row["teacher_accuracy"]) for row in group)
        for group in _group(rows, "seed").values()
    )


def _group(rows: Rows, key: str) -> dict[str, list[Mapping[str, str]]]:
    groups: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for row in rows:
        groups[row[key]].append(row)
    return groups


def accuracy_against_cost(
    points: Mapping[str, tuple[float, Sequence[float]]], teacher: float, unit: str
) -> Figure:
    """Return a plot of the accuracy of students against their cost.

    Args:
        points: Cost, and the accuracy of each seed, by training source.
        teacher: Mean accuracy of the teacher, drawn as a line.
        unit: Unit of the cost.
    """
    figure = Figure(figsize=(8.5, 4.5), layout="constrained")
    ax = figure.subplots()
    ax.axhline(teacher, color="0.6", linestyle="--", linewidth=1)
    ax.annotate(
        "teacher", (1.01, teacher), xycoords=("axes fraction", "data"), va="center", color="0.4"
    )
    for name, (cost, accuracies) in points.items():
        mean, low, high = np.mean(accuracies), min(accuracies), max(accuracies)
        is_control = name.startswith(CONTROLS)
        ax.errorbar(
            cost,
            mean,
            # The mean of equal accuracies may differ from them by rounding.
            yerr=np.clip([[mean - low], [high - mean]], 0, None),
            marker="s" if is_control else "o",
            color="C3" if name.startswith("FRAMI") else "0.5" if is_control else "C0",
            capsize=2,
        )
    ax.set_xscale("log")
    # "200" needs less space than "2 x 10^2".
    ax.xaxis.set_major_formatter(LogFormatter())
    ax.xaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.4)))
    ax.set(xlabel=f"{unit} of synthesis and distillation", ylabel="accuracy on recordings")
    ax.grid(alpha=0.3)
    figure.draw_without_rendering()  # the layout moves the markers
    means = {name: (cost, float(np.mean(values))) for name, (cost, values) in points.items()}
    _label_points(ax, means)
    return figure


def _label_points(ax: Axes, points: Mapping[str, tuple[float, float]]) -> None:
    """Write a label beside each marker, where it overlaps the fewest markers and labels."""
    radius = MARKER_RADIUS * ax.figure.dpi / 72
    taken = [
        Bbox([position - radius, position + radius])
        for position in ax.transData.transform(list(points.values()))
    ]
    for name, point in points.items():
        label = ax.annotate(
            escape_text(name), point, xytext=OFFSETS[0], textcoords="offset points", fontsize=SMALL
        )
        label.set_in_layout(False)
        overlaps = {o: _count_overlaps(_move(label, o), taken, ax.bbox) for o in OFFSETS}
        taken.append(_move(label, min(OFFSETS, key=overlaps.__getitem__)))


def _move(label: Annotation, offset: tuple[int, int]) -> Bbox:
    """Move a label to an offset from its marker, and return the box that it covers there."""
    label.xyann = offset
    label.set_horizontalalignment("left" if offset[0] > 0 else "right")
    return label.get_window_extent()


def _count_overlaps(box: Bbox, taken: Sequence[BboxBase], inside: BboxBase) -> int:
    """Return how many boxes a label overlaps, plus 1 if it crosses the edge of the plot."""
    crosses_edge = box.x0 < inside.x0 or box.x1 > inside.x1 or box.y0 < inside.y0
    return int(box.count_overlaps(taken)) + int(crosses_edge)
