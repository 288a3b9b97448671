"""Slow references and random inputs for the tests of losses."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from frami.models.network import Output
from frami.models.pooling import statistics_pooling


def softmax(row: list[float], temperature: float = 1.0) -> list[float]:
    powers = [math.exp(value / temperature) for value in row]
    return [power / sum(powers) for power in powers]


def random_output(
    *, batch: int = 3, classes: int = 4, channels: int = 5, n_frames: int = 6, seed: int = 0
) -> Output:
    """Return an output of a single-label network with random values."""
    rng = torch.Generator().manual_seed(seed)
    hidden = torch.randn(batch, channels, n_frames, generator=rng)
    logits = torch.randn(batch, classes, generator=rng)
    return Output(logits, hidden, statistics_pooling(hidden), torch.randn(batch, 7, generator=rng))


def random_clips(batch: int = 16, n_mels: int = 12, n_frames: int = 20) -> Tensor:
    """Return random spectrograms ``(batch, n_mels, n_frames)``."""
    return torch.randn(batch, n_mels, n_frames, generator=torch.Generator().manual_seed(0))
