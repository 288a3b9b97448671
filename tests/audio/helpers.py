"""Sounds for the tests of audio."""

from __future__ import annotations

import math

import torch
from torch import Tensor

RATE = 8000


def sine(hertz: float, rate: int, seconds: float = 1.0) -> Tensor:
    """Return a full-scale sine ``(T,)``."""
    return torch.sin(2 * math.pi * hertz * torch.arange(int(seconds * rate)) / rate)
