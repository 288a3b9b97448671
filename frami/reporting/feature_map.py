"""A map of synthetic and real clips by the pooled statistics of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from frami.core.errors import UsageError
from frami.data.clips import Clips, Spectrograms, batches_by_length, indices_of_class
from frami.models.model import Model
from frami.models.network import frozen
from frami.reporting.charts import escape_text
from frami.reporting.spectrograms import classes_to_show, evenly_spaced

CLIPS_PER_CLASS = 40
BATCH_SIZE = 64
MARKERS = {"synthetic": "x", "real": "o"}
MARKER_SIZE = 24

Features = tuple[NDArray[Any], NDArray[Any]]  # statistics (S, 2D), class indices (S,)


def feature_map(model: Model, synthetic: Clips | None, real: Clips | None = None) -> Figure:
    """Return a 2-d map of clips: the first two principal components of their pooled statistics.

    Args:
        model: Model whose statistics are used; the clips must have been made with its front end.
        synthetic: Clips drawn as crosses.
        real: Clips drawn as circles.

    Raises:
        UsageError: If there are fewer than 2 clips.
    """
    # Circles come first, so that crosses stay visible on top of them.
    sources = {"real": real, "synthetic": synthetic}
    clips = {name: source for name, source in sources.items() if source is not None}
    classes = classes_to_show(*clips.values())
    features = {
        name: _pooled_statistics(model, source, classes)
        for name, source in clips.items()
        if any(len(indices_of_class(source, k)) for k in classes)
    }
    if sum(len(targets) for _, targets in features.values()) < 2:
        raise UsageError("A map needs 2 or more clips; there is 1.")
    projection = PCA(2, svd_solver="full").fit(
        np.concatenate([stats for stats, _ in features.values()])
    )
    figure = Figure(figsize=(8, 5.5), layout="constrained")
    ax = figure.subplots()
    _draw_points(ax, features, projection, classes, model.labels)
    several_tags = any(clips[name].targets.ndim > 1 for name in features)
    note = "; a clip with several tags is drawn once for each" if several_tags else ""
    ax.set_title(f"Statistics after pooling{note}")
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def _draw_points(
    ax: Axes,
    features: Mapping[str, Features],
    projection: PCA,
    classes: Sequence[int],
    labels: Sequence[str],
) -> None:
    color = dict(zip(classes, matplotlib.color_sequences["petroff10"], strict=False))
    for name, (stats, targets) in features.items():
        x, y = projection.transform(stats).T
        colors = [color[int(k)] for k in targets]
        ax.scatter(x, y, s=MARKER_SIZE, c=colors, marker=MARKERS[name], alpha=0.6)
        text_color = matplotlib.rcParams["text.color"]
        ax.scatter([], [], s=MARKER_SIZE, color=text_color, marker=MARKERS[name], label=name)
    for k in classes:
        ax.scatter([], [], s=40, color=color[k], marker="s", label=escape_text(labels[k]))
    first, second = 100 * projection.explained_variance_ratio_
    ax.set(
        xlabel=f"first component ({first:.0f} % of the variance)",
        ylabel=f"second component ({second:.0f} %)",
    )


def _pooled_statistics(model: Model, clips: Clips, classes: Sequence[int]) -> Features:
    """Return pooled statistics and classes of some clips of each class, in full length."""
    per_class = [evenly_spaced(indices_of_class(clips, k), CLIPS_PER_CLASS) for k in classes]
    indices = np.concatenate(per_class)
    targets = np.repeat(classes, [len(selected) for selected in per_class])
    mels = [clips.mel(int(index)) for index in indices]
    selected = Spectrograms(mels, clips.n_frames[indices], targets)
    device = next(model.network.parameters()).device
    with torch.inference_mode(), frozen(model.network):
        batches = [
            (model.network(mel.to(device)).stats.cpu().numpy(), rows)
            for mel, rows in batches_by_length(selected, BATCH_SIZE)
        ]
    stats, rows = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return stats, selected.targets[rows]
