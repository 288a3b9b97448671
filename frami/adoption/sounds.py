"""Random sounds to try a classifier with."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

SMALLEST_LEVEL = 1e-3


def random_sounds(count: int, n_samples: int, sample_rate: int, seed: int = 0) -> Tensor:
    """Return sounds ``(count, n_samples)`` in [-1, 1]: colored noises of various levels."""
    rng = np.random.default_rng([seed, 1])
    return torch.stack(
        [torch.from_numpy(_sound(rng, n_samples, sample_rate)) for _ in range(count)]
    )


def _sound(rng: np.random.Generator, n_samples: int, sample_rate: int) -> np.ndarray:
    frequency = np.fft.rfftfreq(n_samples, 1 / sample_rate) + 20
    spectrum = np.fft.rfft(rng.standard_normal(n_samples)) * frequency ** -rng.uniform(0, 1)
    center = np.exp(rng.uniform(np.log(100), np.log(sample_rate / 2)))
    spectrum *= np.exp(-((np.log(frequency / center) / rng.uniform(0.3, 3)) ** 2))
    knots = rng.standard_normal(max(3, n_samples * 4 // sample_rate)) * rng.uniform(0, 1.5)
    envelope = np.exp(np.interp(np.linspace(0, 1, n_samples), np.linspace(0, 1, len(knots)), knots))
    sound = np.fft.irfft(spectrum, n_samples) * envelope
    level = np.exp(rng.uniform(np.log(SMALLEST_LEVEL), 0))
    scaled: np.ndarray = (sound / np.abs(sound).max() * level).astype(np.float32)
    return scaled
