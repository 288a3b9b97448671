"""One second of each clip of ESC-50, its loudest: short clips as TAU Urban Acoustic Scenes 2022 Mobile has them.

The folds are those of ESC-50. Source: as `frami.datasets.esc50`; the choice of the second is ours.
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
    """Return the official folds that are there: ``1`` to ``5``."""
    return esc50.test_folds(folder)


def split(folder: Path, fold: str) -> Split:
    """Return the split that tests on one official fold and trains on the four others."""
    found = esc50.split(folder, fold)
    return replace(
        found, dataset="esc50_second", train=_seconds(found.train), test=_seconds(found.test)
    )


def _seconds(recordings: Recordings) -> Recordings:
    def read(index: int, rate: int) -> Tensor:
        return loudest_excerpt(recordings.read(index, rate), round(SECONDS * rate))

    return replace(recordings, read=read)


def loudest_excerpt(waveform: Tensor, samples: int) -> Tensor:
    """Return the part of a waveform ``(T,)`` of so many samples that has the most power, in steps of a tenth of it."""
    if len(waveform) <= samples:
        return waveform
    starts = range(0, len(waveform) - samples + 1, max(1, samples // 10))
    powers = torch.stack([waveform[start : start + samples].square().sum() for start in starts])
    start = starts[int(powers.argmax())]
    return waveform[start : start + samples]
