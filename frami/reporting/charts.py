"""Charts of losses and confusions, and figures as PNG files; functions without global state."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from frami.core.errors import UsageError
from frami.core.run_record import TEXTS
from frami.core.text import make_printable

COLORMAP = "viridis"
# Columns of a run's metrics that are not losses, by the name of the first column.
COUNTERS = {"step": ("step",), "round": ("round", "clips", "n_frames")}
SMALL = 7.5  # pt
DOTS_PER_INCH = 120
MAX_PANELS = 30
MAX_STEP, MAX_LOSS = 1e15, 1e100  # beyond them, axes cannot be drawn
MAX_LETTERS = 100  # of a text in a figure


def loss_curves(run_metrics: Sequence[Mapping[str, Any]]) -> Figure:
    """Return a plot with one panel per loss, over the steps or rounds of a run.

    Args:
        run_metrics: Rows of `frami.core.run.read_metrics`; a loss may be absent from some of them.

    Raises:
        UsageError: If no row contains a loss.
    """
    names = loss_names(run_metrics)[:MAX_PANELS]
    if not names:
        raise UsageError("There are no losses to draw: the run has not logged any.")
    time = next((counter for counter in COUNTERS if counter in run_metrics[0]), "line")
    columns = 2 if len(names) == 4 else min(3, len(names))
    lines = -(-len(names) // columns)
    figure = Figure(figsize=(0.6 + 3.2 * columns, 0.4 + 2.3 * lines), layout="constrained")
    axes = figure.subplots(lines, columns, sharex=True, squeeze=False).flatten()
    for ax, name in zip(axes, names, strict=False):
        points = [
            (row.get(time, index), row[name])
            for index, row in enumerate(run_metrics)
            if name in row
        ]
        x, y = np.array(points, dtype=float).T
        x, y = np.clip(x, -MAX_STEP, MAX_STEP), np.clip(y, -MAX_LOSS, MAX_LOSS)
        ax.plot(x, y, color="C0", linewidth=1.2, marker="." if len(x) < 50 else "")
        if y.min() > 0 and y.max() > 100 * y.min():
            ax.set_yscale("log")
        ax.set_title(escape_text(name.replace("_", " ")), fontsize="medium")
        ax.grid(alpha=0.3)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if len(run_metrics) == 1:  # all panels share these ticks
            ax.set_xticks(x)
        ax.tick_params(labelbottom=True)
    for ax in axes[len(names) :]:
        ax.set_axis_off()
    figure.supxlabel(time, fontsize="medium")
    return figure


def loss_names(run_metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of the losses that a run has logged, in order."""
    return list(
        dict.fromkeys(
            name
            for row in run_metrics
            for name in row
            if name not in TEXTS and name not in COUNTERS.get(next(iter(row), ""), ())
        )
    )


def confusion_matrix(labels: Sequence[str], counts: ArrayLike) -> Figure:
    """Return the plot of a confusion matrix, colored by the part of each true class's clips.

    Args:
        labels: K class names.
        counts: Number of clips by true class (row) and predicted class (column), ``(K, K)``.
    """
    table: NDArray[np.float64] = np.asarray(counts, dtype=float)
    parts = table / np.maximum(1, table.sum(axis=1, keepdims=True))
    size = min(12.0, 3.0 + 0.35 * len(labels))
    font = SMALL if len(labels) > 12 else 9
    figure = Figure(figsize=(size + 1, size), layout="constrained")
    ax = figure.subplots()
    image = ax.imshow(parts, cmap=COLORMAP, vmin=0, vmax=1)
    shown = [escape_text(label if len(label) <= 24 else f"{label[:23]}…") for label in labels]
    ax.set_xticks(range(len(labels)), shown, rotation=90, fontsize=font)
    ax.set_yticks(range(len(labels)), shown, fontsize=font)
    ax.set(xlabel="predicted class", ylabel="true class")
    if len(labels) <= 20:
        for row, column in np.argwhere(table):
            count = f"{table[row, column]:.0f}"
            text = ax.text(
                column, row, count, ha="center", va="center", fontsize=min(font, 24 / len(count))
            )
            text.set_color("black" if parts[row, column] > 0.6 else "white")
    figure.colorbar(image, ax=ax, label="part of the true class's clips", shrink=0.8)
    return figure


def escape_text(text: str) -> str:
    r"""Return the string that matplotlib displays as this text.

    Dollars are escaped, as they would start a formula. A leading underscore gets an invisible
    prefix, as it would hide a label from the legend. Of a long text, the start is displayed: a
    label may come from a stranger.

    >>> escape_text("$5"), escape_text("_noise_") == "\N{WORD JOINER}_noise_"
    ('\\$5', True)
    """
    text = make_printable(text if len(text) <= MAX_LETTERS else f"{text[: MAX_LETTERS - 1]}…")
    return ("\N{WORD JOINER}" if text.startswith("_") else "") + text.replace("$", r"\$")


def to_png(figure: Figure) -> bytes:
    """Return a figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    return buffer.getvalue()
