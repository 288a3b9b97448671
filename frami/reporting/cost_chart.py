"""Plots of the quality of students against their cost, with controls and the teacher."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import LogFormatter
from matplotlib.transforms import Bbox, BboxBase

from frami.reporting.charts import SMALL, escape_text

# Possible offsets of a label from its marker, in points.
OFFSETS = tuple((right, up) for up in (3, -10, 12, -19, 21, -28) for right in (5, -5))
MARKER_RADIUS = 4  # points
GPU_KINDS = ("cuda", "mps")
CONTROLS = ("recordings", "other recordings", "noise", "synthesizer", "one clip")

Rows = Sequence[Mapping[str, str]]


class Panel(NamedTuple):
    """One plot of the figure.

    Attributes:
        title: What is plotted.
        points: Cost, and the value of each run, by training source.
        teacher: Mean value of the teacher, drawn as a line; None for none.
    """

    title: str
    points: Mapping[str, tuple[float, Sequence[float]]]
    teacher: float | None = None


def draw_costs(rows: Rows, *, connect: bool = False) -> Figure:
    """Return the plots of rows of bench.csv with the same data set and teacher.

    Args:
        rows: The rows.
        connect: Draw a line through the points of each method.
    """
    # The CPU seconds do not count what a GPU computes, be it for some of the rows.
    on_gpu = any(f", {kind}" in row["machine"] for row in rows for kind in GPU_KINDS)
    columns = [f"{part}_{'s' if on_gpu else 'cpu_s'}" for part in ("synthesis", "distillation")]
    accuracies = _points(rows, "accuracy", columns)
    panels = [Panel("accuracy on held-out recordings", accuracies, _teacher_accuracy(rows))]
    if agreements := _points(rows, "agreement_unheard", columns):
        panels.insert(0, Panel("agreement on unheard recordings", agreements))
    return quality_against_cost(panels, "seconds" if on_gpu else "CPU seconds", connect=connect)


def _points(rows: Rows, name: str, columns: Sequence[str]) -> dict[str, tuple[float, list[float]]]:
    """Return mean cost, and a measure of each run, by training source."""
    points = {}
    with_measure = [row for row in rows if row.get(name)]
    for (source,), group in _group(with_measure, "source").items():
        # The seconds are rounded, and a logarithmic axis has no 0.
        costs = [max(1.0, sum(float(row[column]) for column in columns)) for row in group]
        points[source] = (statistics.mean(costs), [float(row[name]) for row in group])
    return points


def _teacher_accuracy(rows: Rows) -> float:
    """Return the teacher's mean accuracy; for each seed, the most frequent value counts."""
    return statistics.mean(
        statistics.mode(float(row["teacher_accuracy"]) for row in group)
        for group in _group(rows, "fold", "seed").values()
    )


def _group(rows: Rows, *keys: str) -> dict[tuple[str, ...], list[Mapping[str, str]]]:
    groups: dict[tuple[str, ...], list[Mapping[str, str]]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in keys)].append(row)
    return groups


def quality_against_cost(panels: Sequence[Panel], unit: str, *, connect: bool = False) -> Figure:
    """Return plots of the quality of students against their cost, with standard errors.

    Args:
        panels: What is plotted, from top to bottom.
        unit: Unit of the cost.
        connect: Draw a line through the points of each method, its name up to the comma.
    """
    figure = Figure(figsize=(8.5, 4.5 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for ax, panel in zip(axes, panels, strict=True):
        _draw_panel(ax, panel, unit, connect=connect)
    figure.draw_without_rendering()  # the layout moves the markers
    for ax, panel in zip(axes, panels, strict=True):
        means = {
            name: (cost, float(np.mean(values))) for name, (cost, values) in panel.points.items()
        }
        if connect:  # one label a method, at its last point
            means = {_method(name): means[name] for name in sorted(means, key=means.__getitem__)}
        _label_points(ax, means)
    return figure


def _method(source: str) -> str:
    return source.partition(",")[0]


def _draw_panel(ax: Axes, panel: Panel, unit: str, *, connect: bool) -> None:
    """Draw the teacher, the students, and the lines through those of a method."""
    if panel.teacher is not None:
        ax.axhline(panel.teacher, color="0.6", linestyle="--", linewidth=1)
        place = (1.01, panel.teacher)
        ax.annotate("teacher", place, xycoords=("axes fraction", "data"), va="center", color="0.4")
    lines: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for name, (cost, values) in panel.points.items():
        mean, is_control = float(np.mean(values)), name.startswith(CONTROLS)
        color = "C3" if name.startswith("FRAMI") else "0.5" if is_control else "C0"
        error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
        ax.errorbar(
            cost, mean, yerr=error, marker="s" if is_control else "o", color=color, capsize=2
        )
        lines[_method(name)].append((cost, mean))
    for points in lines.values() if connect else ():
        ax.plot(*zip(*sorted(points), strict=True), color="0.7", linewidth=1, zorder=0)
    ax.set_xscale("log")
    # "200" needs less space than "2 x 10^2".
    ax.xaxis.set_major_formatter(LogFormatter())
    ax.xaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.4)))
    ax.set(xlabel=f"{unit} of synthesis and distillation", ylabel=panel.title)
    ax.margins(x=0.12, y=0.14)  # room for the labels
    ax.grid(alpha=0.3)


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
    """Return how many boxes a label overlaps, plus 2 if it crosses the edge of the plot."""
    is_inside = inside.x0 <= box.x0 and box.x1 <= inside.x1
    is_inside &= inside.y0 <= box.y0 and box.y1 <= inside.y1
    return int(box.count_overlaps(taken)) + 2 * (not is_inside)
