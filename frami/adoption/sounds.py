"""Random sounds to try a classifier with."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from frami.audio.synthesizer import sound


def random_sounds(count: int, n_samples: int, sample_rate: int, seed: int = 0) -> Tensor:
    """Return sounds ``(count, n_samples)`` in [-1, 1] of `frami.audio.synthesizer`."""
    rng = np.random.default_rng([seed, 1])
    return torch.stack([torch.from_numpy(sound(rng, n_samples, sample_rate)) for _ in range(count)])
