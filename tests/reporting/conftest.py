"""Clips and helpers for the tests of plots."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from frami.data.clips import Spectrograms


def texts(figure: Figure) -> list[str]:
    """Return all titles, axis labels, tick labels and legends of a figure that are not empty."""
    figure.draw_without_rendering()
    labels = [label for ax in figure.axes for label in (ax.title, ax.xaxis.label, ax.yaxis.label)]
    ticks = [
        label for ax in figure.axes for label in (*ax.get_xticklabels(), *ax.get_yticklabels())
    ]
    legends = [text for legend in figure.legends for text in legend.get_texts()]
    return [text.get_text() for text in (*labels, *ticks, *legends) if text.get_text()]


def to_png(figure: Figure) -> bytes:
    """Return a figure as a small PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=40)
    return buffer.getvalue()


def noise_clips(targets: list[int], n_frames: list[int], bands: int = 24) -> Spectrograms:
    """Return noise with these classes and lengths."""
    rng = torch.Generator().manual_seed(0)
    mels = [torch.randn(bands, count, generator=rng).half() for count in n_frames]
    return Spectrograms(mels, np.array(n_frames), np.array(targets))


@pytest.fixture
def real() -> Spectrograms:
    return noise_clips([0, 0, 1, 1, 2, 2], [30, 40, 20, 20, 25, 30])
