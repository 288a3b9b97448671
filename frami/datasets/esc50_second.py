"""The loudest second of each clip of ESC-50, a stand-in for data sets of 1-s clips.

TAU Urban Acoustic Scenes 2022 Mobile is one of them. The folds are those of ESC-50.
Source: as `frami.datasets.esc50`. Differs: the choice of one second is our own.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from frami.data.recordings import Recordings, Split
from frami.datasets import esc50

SECONDS = 1.0
SAMPLE_RATE = esc50.SAMPLE_RATE
FOLDER = esc50.FOLDER
ARCHIVES = esc50.ARCHIVES


def test_folds(folder: Path) -> list[str]:
    """Return the official folds in this copy: ``1`` to ``5``."""
    return esc50.test_folds(folder)


def split(folder: Path, fold: str) -> Split:
    """Return the split that tests on one official fold and trains on the other four."""
    whole = esc50.split(folder, fold)
    return replace(
        whole,
        dataset="esc50_second",
        train=_loudest_seconds(whole.train),
        test=_loudest_seconds(whole.test),
    )


def _loudest_seconds(recordings: Recordings) -> Recordings:
    def read(index: int, rate: int) -> Tensor:
        return loudest_excerpt(recordings.read(index, rate), round(SECONDS * rate))

    return replace(recordings, read=read)


def loudest_excerpt(waveform: Tensor, samples: int) -> Tensor:
    """Return the ``samples`` samples of a waveform ``(T,)`` with the most power.

    Excerpts start at multiples of a tenth of their length. A shorter waveform is returned whole.
    """
    if len(waveform) <= samples:
        return waveform
    starts = range(0, len(waveform) - samples + 1, max(1, samples // 10))
    powers = torch.stack([waveform[start : start + samples].square().sum() for start in starts])
    start = starts[int(powers.argmax())]
    return waveform[start : start + samples]
