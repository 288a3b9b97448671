"""Pictures of spectrograms, of their events and their features: pure functions from clips to a figure, nothing global.

Colours are told apart by colour-blind readers: viridis for what is ordered, Petroff's ten for classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from torch import Tensor

from frami.audio import filterbanks
from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.data.clips import Clips, Spectrograms, batches_by_length, indices_of_class
from frami.models.model import Model
from frami.models.network import frozen
from frami.reporting.charts import COLORMAP, SMALL, escape_text

CLASSES_SHOWN = 10
CLIPS_A_ROW = 4
CLIPS_ON_MAP = 40  # a class
MARKERS = {"synthetic": "x", "real": "o"}
POWER = "standardised log power"
OCTAVES = (250, 500, 1000, 2000, 4000, 8000, 16000)  # Hz


def spectrogram_grid(
    store: Clips, front_end: FrontEnd, labels: Sequence[str], real: Clips | None = None
) -> Figure:
    """Return synthetic spectrograms, one row a class, and beside them the mean of its recordings.

    Args:
        store: Synthetic clips; of each class a few are shown, evenly from first to last.
        front_end: What they are made for; it gives the axes.
        labels: Class names, by class index; ten of them, evenly chosen, if there are more.
        real: Recordings heard through the same front end.

    Raises:
        WrongUse: there is no clip to show.
    """
    panels: dict[int, list[tuple[str, Tensor]]] = {}
    for k in _classes(store):
        clips = _evenly_spaced(indices_of_class(store, k), CLIPS_A_ROW)
        panels[k] = [(f"clip {clip}", store.mel(int(clip))) for clip in clips]
        panels[k] += [mean_spectrogram(real, k)] if real is not None else []
    panels = {k: drawn for k, drawn in panels.items() if drawn}  # a tag that no clip likely has
    columns = max(map(len, panels.values()))
    figure = Figure(figsize=(1.6 + 1.9 * columns, 0.9 + 1.25 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), columns, sharex=True, sharey=True, squeeze=False)
    shown = [mel for row in panels.values() for _, mel in row]
    low, high = np.nanpercentile(np.concatenate([mel.flatten() for mel in shown]), [1, 99.5])
    for row, (k, drawn) in zip(axes, panels.items(), strict=True):
        # The mean stands in the last column, whatever there is before it.
        places = [*range(len(drawn) - 1), columns - 1] if real is not None else range(len(drawn))
        for place, (title, mel) in zip(places, drawn, strict=True):
            image = _draw_spectrogram(row[place], mel, front_end, title, (low, high))
        for place in set(range(columns)) - set(places):
            row[place].set_axis_off()
        row[min(places)].set_ylabel(escape_text(labels[k]), rotation=0, ha="right", va="center")
    for column in axes.T:  # only the last of all panels would say the time, and it may be off
        next(ax for ax in column[::-1] if ax.axison).tick_params(labelbottom=True)
    # imshow narrows shared axes to the picture that it drew last.
    axes[0, 0].set_xlim(*_seconds(front_end, max(mel.shape[1] for mel in shown)))
    axes[0, 0].xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], prune="upper"))
    figure.colorbar(image, ax=axes, label=POWER, shrink=min(1, 4 / len(panels)), pad=0.02)
    figure.supxlabel("time (s)", fontsize="medium")
    figure.supylabel("frequency (kHz)", fontsize="medium")
    return figure


def mean_spectrogram(clips: Clips, target: int) -> tuple[str, Tensor]:
    """Return a caption and the mean ``(F, N)`` of a class's recordings, N their median length.

    A shorter one counts for as long as it lasts; the mean of none is not a number.
    """
    mels = [clips.mel(int(index)) for index in indices_of_class(clips, target)]
    if not mels:
        return "no recording", torch.full((1, 1), torch.nan)
    frames = int(np.median([mel.shape[1] for mel in mels]))
    # A negative pad cuts off.
    padded = [F.pad(mel, (0, frames - mel.shape[1]), value=torch.nan) for mel in mels]
    return f"mean of {len(mels)} recordings", torch.stack(padded).nanmean(dim=0)


def spectrogram(mel: Tensor, front_end: FrontEnd, title: str = "") -> Figure:
    """Return the picture of one spectrogram ``(F, N)``."""
    figure = Figure(figsize=(6, 3), layout="constrained")
    ax = figure.subplots()
    image = _draw_spectrogram(ax, mel, front_end, title, (None, None))
    ax.title.set_fontsize("medium")
    ax.set(xlabel="time (s)", ylabel="frequency (kHz)")
    figure.colorbar(image, ax=ax, label=POWER)
    return figure


def feature_map(model: Model, synthetic: Clips | None, real: Clips | None = None) -> Figure:
    """Return a 2-d map of clips by their pooled statistics: the first two principal components of them all.

    Args:
        model: Whose statistics; its front end must be that of the clips.
        synthetic: Clips drawn as crosses.
        real: Clips drawn as circles.

    Raises:
        WrongUse: there are fewer than 2 clips.
    """
    # Circles first: crosses stay visible on top of them.
    clips = {
        name: kind for name, kind in (("real", real), ("synthetic", synthetic)) if kind is not None
    }
    shown = _classes(*clips.values())
    drawn = {
        name: kind
        for name, kind in clips.items()
        if any(len(indices_of_class(kind, k)) for k in shown)
    }
    heard = {name: _statistics(model, kind, shown) for name, kind in drawn.items()}
    if sum(len(targets) for _, targets in heard.values()) < 2:
        raise UsageError("A map of a single clip cannot be drawn; 2 or more are needed.")
    projection = PCA(2, svd_solver="full").fit(
        np.concatenate([stats for stats, _ in heard.values()])
    )
    figure = Figure(figsize=(8, 5.5), layout="constrained")
    ax = figure.subplots()
    colour = dict(zip(shown, matplotlib.color_sequences["petroff10"], strict=False))
    for name, (stats, targets) in heard.items():
        x, y = projection.transform(stats).T
        ax.scatter(x, y, s=24, c=[colour[int(k)] for k in targets], marker=MARKERS[name], alpha=0.6)
        ax.scatter([], [], s=24, color="black", marker=MARKERS[name], label=name)
    for k in shown:
        ax.scatter([], [], s=40, color=colour[k], marker="s", label=escape_text(model.labels[k]))
    first, second = 100 * projection.explained_variance_ratio_
    ax.set(
        xlabel=f"first component ({first:.0f} % of the variance)",
        ylabel=f"second component ({second:.0f} %)",
    )
    several = any(kind.targets.ndim > 1 for kind in drawn.values())
    ax.set_title(
        "Statistics after pooling"
        + ("; a clip of several tags is drawn once for each" if several else "")
    )
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def event_rolls(
    clips: Sequence[tuple[str, Tensor]],
    front_end: FrontEnd,
    labels: Sequence[str],
    truth: Mapping[str, Sequence[tuple[float, float, str]]],
    found: Mapping[str, Sequence[tuple[float, float, str]]],
) -> Figure:
    """Return spectrograms with the events below them, those annotated and those found.

    Args:
        clips: Name and spectrogram ``(F, N)`` of each clip to show.
        front_end: Of the spectrograms; it gives the axes.
        labels: Class names; those that come up are shown.
        truth: Events (onset s, offset s, label) of each clip.
        found: The same of a model.
    """
    figure = Figure(figsize=(5 * len(clips), 6), layout="constrained")
    axes = figure.subplots(2, len(clips), squeeze=False, sharex="col", height_ratios=(2, 3))
    for (upper, lower), (name, mel) in zip(axes.T, clips, strict=True):
        _draw_spectrogram(upper, mel, front_end, _shorten(Path(name).name), (None, None))
        shown = [label for label in labels if label in {e[2] for e in (*truth[name], *found[name])}]
        for events, shift, colour, title in (
            (truth[name], 0.2, "C0", "annotated"),
            (found[name], -0.2, "C1", "found"),
        ):
            for onset, offset, label in events:
                lower.barh(shown.index(label) + shift, offset - onset, 0.35, onset, color=colour)
            lower.barh(0, 0, color=colour, label=title)
        lower.set_yticks(range(len(shown)), [escape_text(label) for label in shown])
        lower.set(
            xlabel="time (s)",
            xlim=(0, front_end.seconds(mel.shape[1])),
            ylim=(-0.6, max(1, len(shown)) - 0.4),
        )
        lower.grid(axis="x", alpha=0.3)
    figure.legend(
        *axes[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=SMALL
    )
    axes[0, 0].set_ylabel("frequency (kHz)")
    return figure


def _draw_spectrogram(
    ax: Axes, mel: Tensor, front_end: FrontEnd, title: str, span: tuple[float | None, float | None]
) -> AxesImage:
    """Draw a spectrogram with seconds along and the frequencies of its bands up."""
    bands, centres = front_end.n_mels, filterbanks.center_frequencies(front_end).numpy()
    extent = (*_seconds(front_end, mel.shape[1]), -0.5, bands - 0.5)
    low, high = span
    image = ax.imshow(
        mel.numpy(), COLORMAP, vmin=low, vmax=high, origin="lower", aspect="auto", extent=extent
    )
    octaves = [hz for hz in OCTAVES if centres[0] <= hz <= centres[-1]]
    ticks = octaves if len(octaves) > 1 else [centres[0], centres[-1]]
    ax.set_yticks(np.interp(ticks, centres, np.arange(bands)), [f"{hz / 1000:.3g}" for hz in ticks])
    ax.tick_params(labelsize=SMALL)
    ax.set_title(escape_text(title), fontsize=SMALL, pad=3)
    return image


def _shorten(name: str) -> str:
    """Return a name that fits above a panel: of a long one, beginning and end.

    >>> _shorten("a.wav"), _shorten(40 * "a" + 40 * "b")
    ('a.wav', 'aaaaaaaaaaaaaaaaaaaaaaaa…bbbbbbbbbbbbbbbbbbbbbbbb')
    """
    return name if len(name) < 50 else f"{name[:24]}…{name[-24:]}"


def _seconds(front_end: FrontEnd, frames: int) -> tuple[float, float]:
    """Return where the first frame begins and the last one ends, s; each is centred on its time."""
    half = front_end.hop_length / front_end.sample_rate / 2
    return -half, front_end.seconds(frames) + half


def _classes(*clips: Clips) -> list[int]:
    """Return the classes to show: those that occur, ten of them evenly chosen if there are more."""
    tagged = [
        np.flatnonzero(kind.targets.any(axis=0)) if kind.targets.ndim > 1 else kind.targets
        for kind in clips
    ]
    occurring = np.unique(np.concatenate([np.zeros(0, np.int64), *tagged]).astype(np.int64))
    if not len(occurring):
        raise UsageError("There are no clips to show; synthesise some first.")
    return [int(k) for k in _evenly_spaced(occurring, CLASSES_SHOWN)]


def _evenly_spaced(values: NDArray[Any], count: int) -> NDArray[Any]:
    """Return at most ``count`` of the values, evenly from the first to the last."""
    places = np.linspace(0, max(0, len(values) - 1), count).round().astype(int)
    return values[np.unique(places)[: len(values)]]


def _statistics(
    model: Model, clips: Clips, shown: list[int]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return pooled statistics ``(S, 2D)`` and classes ``(S,)`` of some clips, each at its own length."""
    each = [_evenly_spaced(indices_of_class(clips, k), CLIPS_ON_MAP) for k in shown]
    chosen, classes = np.concatenate(each), np.repeat(shown, [len(numbers) for numbers in each])
    mels = [clips.mel(int(index)) for index in chosen]
    some = Spectrograms(mels, clips.n_frames[chosen], classes)
    device = next(model.network.parameters()).device
    with torch.inference_mode(), frozen(model.network):
        heard = [
            (model.network(mel.to(device)).stats.cpu(), rows)
            for mel, rows in batches_by_length(some, 64)
        ]
    stats, rows = (np.concatenate(parts) for parts in zip(*heard, strict=True))
    return stats, some.targets[rows]
