"""Plots of sound events below the spectrograms of their clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from frami.audio.frontend import FrontEnd
from frami.evaluate.event_frames import Events
from frami.reporting.charts import SMALL, escape_text
from frami.reporting.spectrograms import draw_spectrogram, row_label

BAR_HEIGHT = 0.35
BAR_SHIFT = 0.2


def event_rolls(
    clips: Sequence[tuple[str, Tensor]],
    front_end: FrontEnd,
    labels: Sequence[str],
    annotated: Mapping[str, Events],
    detected: Mapping[str, Events],
    titles: tuple[str, str] = ("annotated", "detected"),
) -> Figure:
    """Return spectrograms with the annotated and the detected events below them.

    Args:
        clips: Name and spectrogram ``(F, N)`` of each clip.
        front_end: Front end of the spectrograms; it gives the axes.
        labels: Class names; those with an event are shown.
        annotated: Events (onset s, offset s, label) of each clip, by name.
        detected: Events that a model detects, in the same form.
        titles: Names of both in the legend.
    """
    figure = Figure(figsize=(5 * len(clips), 6), layout="constrained")
    axes = figure.subplots(2, len(clips), squeeze=False, sharex="col", height_ratios=(2, 3))
    for (upper, lower), (name, mel) in zip(axes.T, clips, strict=True):
        draw_spectrogram(upper, mel, front_end, _shorten(Path(name).name))
        used = {label for *_, label in (*annotated[name], *detected[name])}
        shown = [label for label in labels if label in used]
        _draw_bars(lower, annotated[name], shown, BAR_SHIFT, "C0", titles[0])
        _draw_bars(lower, detected[name], shown, -BAR_SHIFT, "C1", titles[1])
        lower.set_yticks(range(len(shown)), [escape_text(label) for label in shown])
        lower.set(
            xlabel="time (s)",
            xlim=(0, front_end.seconds(mel.shape[1])),
            ylim=(-0.6, max(1, len(shown)) - 0.4),
        )
        lower.grid(axis="x", alpha=0.3)
    handles = axes[1, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=2, fontsize=SMALL)
    axes[0, 0].set_ylabel(row_label(front_end))
    return figure


def _draw_bars(
    ax: Axes, events: Events, labels: Sequence[str], shift: float, color: str, title: str
) -> None:
    for onset, offset, label in events:
        row = labels.index(label) + shift
        ax.barh(row, offset - onset, BAR_HEIGHT, onset, color=color)
    ax.barh(0, 0, color=color, label=title)  # for the legend, also without events


def _shorten(name: str) -> str:
    """Return a name that fits above a panel: the beginning and end of a long one.

    >>> _shorten("a.wav"), _shorten(40 * "a" + 40 * "b")
    ('a.wav', 'aaaaaaaaaaaaaaaaaaaaaaaa…bbbbbbbbbbbbbbbbbbbbbbbb')
    """
    return name if len(name) < 50 else f"{name[:24]}…{name[-24:]}"
