"""Statistics of a front end's values for random sounds, which need no recording."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frami.audio.frontend import FrontEnd
from frami.core import seeds
from frami.core.seeds import Stream
from frami.inversion.hooks import Moments
from frami.inversion.transformer_losses import clip_statistics

N_SOUNDS = 256
SECONDS = 1.0


def random_sound_clips(front_end: FrontEnd) -> Tensor:
    """Return the spectrograms of `N_SOUNDS` random sounds, ``(N_SOUNDS, F, N)``."""
    rng = np.random.default_rng(seeds.make_rng(0, Stream.RANDOM_SOUNDS).initial_seed())
    n_samples = round(SECONDS * front_end.sample_rate)
    sounds = [random_sound(rng, n_samples, front_end.sample_rate) for _ in range(N_SOUNDS)]
    return front_end(torch.from_numpy(np.stack(sounds)))


@cache
def random_sound_statistics(front_end: FrontEnd) -> dict[str, Moments]:
    """Return the statistics of random sounds, see `transformer_losses.clip_statistics`."""
    return clip_statistics(random_sound_clips(front_end))


def random_sound(rng: np.random.Generator, n_samples: int, sample_rate: int) -> NDArray[np.float32]:
    """Return colored noise with a random level and envelope, ``(n_samples,)`` within [-1, 1].

    Its power falls by 0 to 12 dB per octave. One to four swells, Gaussian in time, last from 30 ms
    to the whole length, above a floor that is 40 dB lower.
    """
    spectrum = np.fft.rfft(rng.standard_normal(n_samples))
    frequency = np.fft.rfftfreq(n_samples, 1 / sample_rate).clip(50)
    noise = np.fft.irfft(spectrum * (frequency / 1000) ** -rng.uniform(0, 2), n_samples)
    time, length = np.arange(n_samples) / sample_rate, n_samples / sample_rate
    envelope = np.full(n_samples, 0.01)
    for _ in range(rng.integers(1, 5)):
        width = np.exp(rng.uniform(np.log(0.015), np.log(length / 2)))
        envelope += np.exp(-0.5 * ((time - rng.uniform(0, length)) / width) ** 2)
    sound = noise * envelope
    level = 10 ** rng.uniform(-1.5, 0)
    scaled: NDArray[np.float32] = (level * sound / np.abs(sound).max()).astype(np.float32)
    return scaled
