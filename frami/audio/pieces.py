"""Augmented pieces of one recording: cut, resampled, filtered, changed in level and mixed.

Source: after Asano and Saeed, "The Augmented Image Prior: Distilling 1000 Classes by Extrapolating
from a Single Image", ICLR 2023, arXiv:2112.00725, which distills from augmented pieces of one image
or one audio clip. Differs: the augmentations and their strengths are our own.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

from frami.audio.sound_parts import Samples, log_uniform
from frami.audio.synthesizer import sound

MAX_SPEED = 3.0  # fastest piece; the slowest is as much slower
MAX_PIECES = 3
LOWEST_LEVEL = -30.0  # dB; peak of the quietest clip below full scale
ATTEMPTS = 10  # at a piece that is not silence


def generated_recording(rng: Generator, seconds: float, sample_rate: int) -> NDArray[np.float32]:
    """Return a recording of random sounds ``(T,)``, one beginning about every second."""
    recording = np.zeros(max(1, round(seconds * sample_rate)))
    for _ in range(max(1, round(seconds))):
        length = min(len(recording), max(1, round(log_uniform(rng, 0.3, 4) * sample_rate)))
        start = int(rng.integers(0, len(recording) - length + 1))
        recording[start : start + length] += sound(rng, length, sample_rate)
    scaled: NDArray[np.float32] = (recording / np.abs(recording).max()).astype(np.float32)
    return scaled


def augmented_clip(
    recording: NDArray[np.float32], rng: Generator, n_samples: int, sample_rate: int
) -> NDArray[np.float32]:
    """Return a clip ``(n_samples,)`` of one to three augmented pieces of a recording, in [-1, 1].

    Args:
        recording: The recording ``(T,)``; it is repeated if it is too short.
        rng: Random numbers.
        n_samples: Length of the clip.
        sample_rate: Samples per second (Hz) of the recording and of the clip.
    """
    clip = np.zeros(n_samples)
    for _ in range(rng.integers(1, MAX_PIECES + 1)):
        piece = _filtered(rng, _resampled_piece(rng, recording, n_samples), sample_rate)
        if rng.random() < 0.2:
            piece = piece[::-1]
        start = int(rng.integers(-(n_samples // 2), n_samples // 2 + 1))
        piece = np.roll(piece, start) if rng.random() < 0.5 else piece
        level = 10 ** (rng.uniform(-15, 0) / 20)
        clip += level * piece / max(np.sqrt(np.mean(piece**2)), 1e-6)
    peak = 10 ** (rng.uniform(LOWEST_LEVEL, 0) / 20)
    scaled: NDArray[np.float32] = (clip * (peak / max(np.abs(clip).max(), 1e-6))).astype(np.float32)
    return scaled


def _resampled_piece(rng: Generator, recording: NDArray[np.float32], n_samples: int) -> Samples:
    """Return a random piece at a random speed, which changes its pitch as well."""
    speed = log_uniform(rng, 1 / MAX_SPEED, MAX_SPEED)
    needed = int(np.ceil(speed * n_samples)) + 1
    if len(recording) < needed:
        recording = np.tile(recording, -(-needed // len(recording)))
    audible = 1e-3 * np.abs(recording).max()
    for _ in range(ATTEMPTS):
        start = int(rng.integers(0, len(recording) - needed + 1))
        piece = recording[start : start + needed]
        if np.abs(piece).max() > audible:
            break
    positions = speed * np.arange(n_samples)
    resampled: Samples = np.interp(positions, np.arange(needed), piece)
    return resampled


def _filtered(rng: Generator, piece: Samples, sample_rate: int) -> Samples:
    """Return a piece with a random frequency response, smooth over the octaves."""
    size = next_fast_len(len(piece), real=True)
    octaves = np.log2(rfftfreq(size, 1 / sample_rate) + 50)
    decibels = rng.normal(0, rng.uniform(0, 12), 8)
    response = np.interp(octaves, np.linspace(octaves[0], octaves[-1], 8), decibels)
    filtered: Samples = irfft(rfft(piece, size) * 10 ** (response / 20), size)[: len(piece)]
    return filtered
