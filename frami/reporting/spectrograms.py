"""Plots of spectrograms: functions from clips to a figure, without global state.

Colors suit color-blind readers: viridis for ordered values, Petroff's ten colors for classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from torch import Tensor

from frami.audio import filterbanks
from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.core.text import count
from frami.data.clips import Clips, indices_of_class
from frami.data.store import Store
from frami.reporting.charts import COLORMAP, SMALL, escape_text

MAX_CLASSES = 10
CLIPS_PER_ROW = 4
COLOR_PERCENTILES = (1, 99.5)
POWER_LABEL = "standardized log power"
OCTAVES = (250, 500, 1000, 2000, 4000, 8000, 16000)  # Hz

Panel = tuple[str, Tensor]  # caption, spectrogram (F, N)


def spectrogram_grid(
    synthetic: Clips, front_end: FrontEnd, labels: Sequence[str], real: Clips | None = None
) -> Figure:
    """Return synthetic spectrograms, one row per class, beside the mean of real recordings.

    Args:
        synthetic: Synthetic clips. Four per class are shown, evenly from first to last; of a store,
            the inverted ones, if there are any.
        front_end: Front end of the clips; it gives the axes.
        labels: Class names, by class index. Of more than ten classes, ten are shown.
        real: Recordings, as spectrograms of the same front end.

    Raises:
        UsageError: If there is no clip to show.
    """
    panels = _panels_by_class(synthetic, real)
    n_columns = max(map(len, panels.values()))
    figure = Figure(figsize=(1.6 + 1.9 * n_columns, 0.9 + 1.25 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), n_columns, sharex=True, sharey=True, squeeze=False)
    mels = [mel for row in panels.values() for _, mel in row]
    low, high = np.nanpercentile(np.concatenate([m.flatten() for m in mels]), COLOR_PERCENTILES)
    for row, (k, row_panels) in zip(axes, panels.items(), strict=True):
        # The mean is always in the last column.
        n_clips = len(row_panels) - 1
        columns = [*range(n_clips), n_columns - 1 if real is not None else n_clips]
        for column, (title, mel) in zip(columns, row_panels, strict=True):
            image = draw_spectrogram(row[column], mel, front_end, title, (low, high))
        for column in set(range(n_columns)) - set(columns):
            row[column].set_axis_off()
        row[min(columns)].set_ylabel(escape_text(labels[k]), rotation=0, ha="right", va="center")
    for column_axes in axes.T:
        # With shared axes only the last row has tick labels, and its panel may be switched off.
        next(ax for ax in column_axes[::-1] if ax.axison).tick_params(labelbottom=True)
    # imshow narrows shared axes to the image that was drawn last.
    axes[0, 0].set_xlim(*_time_span(front_end, max(mel.shape[1] for mel in mels)))
    axes[0, 0].xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], prune="upper"))
    figure.colorbar(image, ax=axes, label=POWER_LABEL, shrink=min(1, 4 / len(panels)), pad=0.02)
    figure.supxlabel("time (s)", fontsize="medium")
    figure.supylabel(row_label(front_end), fontsize="medium")
    return figure


def _panels_by_class(synthetic: Clips, real: Clips | None) -> Mapping[int, list[Panel]]:
    panels: dict[int, list[Panel]] = {}
    for k in classes_to_show(synthetic):
        indices = evenly_spaced(inverted_of_class(synthetic, k), CLIPS_PER_ROW)
        panels[k] = [(f"clip {index}", synthetic.mel(int(index))) for index in indices]
        if real is not None:
            panels[k].append(mean_spectrogram(real, k))
    # A tag may have no clip with a probability of 0.5 or more.
    return {k: row for k, row in panels.items() if row}


def mean_spectrogram(clips: Clips, target: int) -> Panel:
    """Return a caption and the mean ``(F, N)`` of the recordings of a class.

    N is their median length. Each frame is the mean of the recordings that last that long. Without
    a recording, the mean is a single NaN.
    """
    mels = [clips.mel(int(index)) for index in indices_of_class(clips, target)]
    if not mels:
        return "no recording", torch.full((1, 1), torch.nan)
    n_frames = int(np.median([mel.shape[1] for mel in mels]))
    # A negative padding cuts.
    padded = [F.pad(mel, (0, n_frames - mel.shape[1]), value=torch.nan) for mel in mels]
    return f"mean of {count(len(mels), 'recording')}", torch.stack(padded).nanmean(dim=0)


def spectrogram(mel: Tensor, front_end: FrontEnd, title: str = "") -> Figure:
    """Return the plot of one spectrogram ``(F, N)``."""
    figure = Figure(figsize=(6, 3), layout="constrained")
    ax = figure.subplots()
    image = draw_spectrogram(ax, mel, front_end, title)
    ax.title.set_fontsize("medium")
    ax.set(xlabel="time (s)", ylabel=row_label(front_end))
    figure.colorbar(image, ax=ax, label=POWER_LABEL)
    return figure


def draw_spectrogram(
    ax: Axes,
    mel: Tensor,
    front_end: FrontEnd,
    title: str,
    color_range: tuple[float | None, float | None] = (None, None),
) -> AxesImage:
    """Draw a spectrogram ``(F, N)``: seconds on the x axis, band frequencies on the y axis.

    Rows that are not bands keep their numbers.
    """
    extent = (*_time_span(front_end, mel.shape[1]), -0.5, front_end.n_mels - 0.5)
    low, high = color_range
    image = ax.imshow(
        mel.numpy(), COLORMAP, vmin=low, vmax=high, origin="lower", aspect="auto", extent=extent
    )
    if front_end.rows_are_bands:
        _set_frequency_ticks(ax, front_end)
    ax.tick_params(labelsize=SMALL)
    ax.set_title(escape_text(title), fontsize=SMALL, pad=3)
    return image


def _set_frequency_ticks(ax: Axes, front_end: FrontEnd) -> None:
    rows, ticks = frequency_ticks(front_end)
    ax.set_yticks(rows, [f"{hz / 1000:.3g}" for hz in ticks])


def frequency_ticks(front_end: FrontEnd) -> tuple[NDArray[Any], list[float]]:
    """Return the rows, in fractions of a band, and the frequencies (Hz) of the ticks."""
    centers = filterbanks.center_frequencies(front_end).numpy()
    octaves = [hz for hz in OCTAVES if centers[0] <= hz <= centers[-1]]
    ticks = [float(hz) for hz in octaves] if len(octaves) > 1 else [*map(float, centers[[0, -1]])]
    return np.interp(ticks, centers, np.arange(len(centers))), ticks


def row_label(front_end: FrontEnd) -> str:
    """Return the label of the axis of a spectrogram's rows."""
    if front_end.rows_are_bands:
        return "frequency (kHz)"
    return "feature" if front_end.function else "coefficient"


def _time_span(front_end: FrontEnd, n_frames: int) -> tuple[float, float]:
    """Return the start of the first and the end of the last frame (s); frames are centered."""
    half = front_end.hop_length / front_end.sample_rate / 2
    return -half, front_end.seconds(n_frames) + half


def classes_to_show(*clips: Clips) -> list[int]:
    """Return the classes that occur; of more than ten, ten that are evenly spaced.

    Raises:
        UsageError: If there are no clips.
    """
    tags = [
        np.flatnonzero(source.targets.any(axis=0)) if source.targets.ndim > 1 else source.targets
        for source in clips
    ]
    occurring = np.unique(np.concatenate([np.zeros(0, np.int64), *tags]).astype(np.int64))
    if not len(occurring):
        raise UsageError("There are no clips to show; run `frami synthesize` first.")
    return [int(k) for k in evenly_spaced(occurring, MAX_CLASSES)]


def inverted_of_class(clips: Clips, target: int) -> NDArray[Any]:
    """Return the indices of a class's clips; if some are inverted, only of those."""
    indices = indices_of_class(clips, target)
    inverted = indices[clips.optimized()[indices]] if isinstance(clips, Store) else indices
    return inverted if len(inverted) else indices


def evenly_spaced(values: NDArray[Any], count: int) -> NDArray[Any]:
    """Return at most ``count`` of the values, evenly from the first to the last."""
    positions = np.linspace(0, max(0, len(values) - 1), count).round().astype(int)
    selected: NDArray[Any] = values[np.unique(positions)[: len(values)]]
    return selected


def clips_of_classes(clips: Clips, classes: Iterable[int], count: int) -> list[tuple[int, int]]:
    """Return class and index of at most ``count`` clips of each class, evenly spaced."""
    return [
        (k, int(index))
        for k in classes
        for index in evenly_spaced(indices_of_class(clips, k), count)
    ]
