"""Sounds from random programs, without any recording: noise, tones, chirps, clicks and mixtures.

Source: after Cherep and Singh, "Contrastive Learning from Synthetic Audio Doppelgangers", ICLR
2025, arXiv:2406.05923, which publishes random programs of a modular synthesizer as training data
for audio models. Differs: the programs are our own (`frami.audio.sound_parts`), made for variety of
spectra and envelopes at a few milliseconds a clip.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from frami.audio.sound_parts import (
    ENVELOPES,
    SOURCES,
    Samples,
    colored_noise,
    resonate,
    reverberate,
)
from frami.core.checks import check_integer

MAX_LAYERS = 3
LOWEST_LEVEL = -40.0  # dB; peak of the quietest clip below full scale


def sound(rng: Generator, n_samples: int, sample_rate: int) -> NDArray[np.float32]:
    """Return one random sound, ``(n_samples,)`` float32 in [-1, 1], never silent.

    A sound has one to three layers. A layer is one source, or a sequence of short ones, with an
    envelope and at times resonators. Half of the sounds are in a room, half have background noise.

    Args:
        rng: Random numbers; an equal state gives an equal sound.
        n_samples: Length of the sound.
        sample_rate: Samples per second (Hz), 400 or more.

    Raises:
        UsageError: The length or the sample rate is not allowed.
    """
    check_integer("n_samples", n_samples, 1)
    check_integer("sample_rate", sample_rate, 400)
    mixture = np.zeros(n_samples)
    for _ in range(rng.integers(1, MAX_LAYERS + 1)):
        level = 10 ** (rng.uniform(-20, 0) / 20)
        mixture += level * _normalized(_layer(rng, n_samples, sample_rate))
    if rng.random() < 0.5:
        mixture = reverberate(rng, mixture, sample_rate)
    peak = 10 ** (rng.uniform(LOWEST_LEVEL, 0) / 20)
    if rng.random() < 0.5:
        background = 10 ** (rng.uniform(-60, -20) / 20)
        mixture = _normalized(mixture) + background * _normalized(
            colored_noise(rng, n_samples, sample_rate)
        )
    highest = np.abs(mixture).max()
    if not highest > 0:  # layers that cancel to nothing, as in a clip of very few samples
        return np.full(n_samples, peak, dtype=np.float32)
    scaled: NDArray[np.float32] = (mixture * (peak / highest)).astype(np.float32)
    return scaled


def _layer(rng: Generator, n: int, rate: int) -> Samples:
    """Return one source, or a sequence of two to six short ones."""
    if rng.random() < 0.6:
        return _source(rng, n, rate)
    layer = np.zeros(n)
    cuts = np.sort(rng.integers(0, n + 1, int(rng.integers(1, 6)))).tolist()
    for start, end in zip([0, *cuts], [*cuts, n], strict=True):
        if end - start > 1:
            layer[start:end] = _normalized(_source(rng, end - start, rate)) * rng.uniform(0.2, 1)
    return layer


def _source(rng: Generator, n: int, rate: int) -> Samples:
    """Return one source with an envelope, at times through resonators."""
    samples = SOURCES[rng.integers(len(SOURCES))](rng, n, rate)
    if rng.random() < 0.4:
        samples = resonate(rng, samples, rate)
    return samples * ENVELOPES[rng.integers(len(ENVELOPES))](rng, n, rate)


def _normalized(samples: Samples) -> Samples:
    """Return samples with a root mean square of 1; silence stays silent."""
    power = np.sqrt(np.mean(samples**2))
    return samples / power if power > 1e-12 else samples
