"""Ten classes of tones with moving pitch or level, generated from a seed: there is no download.

The classes come in groups that have the same sounds in another order; most are the reverse of
another class. So the mean spectrum of a clip does not separate them: a model must use time as well
as frequency. Pitch, tempo, level, noise and reverberation are random.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from frami.audio.io import resample
from frami.data.folds import check_fold
from frami.data.recordings import Recordings, Split

SECONDS = 1.0
SAMPLE_RATE = 8000
FOLDER = ""
FOLDS = ("0", "1", "2", "3", "4")
DISJOINT_FOLDS = True
TRAIN_PER_CLASS = 64
TEST_PER_CLASS = 16
SEED = 20230

Signal = NDArray[np.float64]
Contour = Callable[[Signal], Signal]


def _rest(u: Signal) -> Signal:
    return np.full_like(u, 0.5)


def _full(u: Signal) -> Signal:
    return np.ones_like(u)


def _rise(u: Signal) -> Signal:
    return u


def _peak(u: Signal) -> Signal:
    return 1 - np.abs(2 * u - 1)


def _steps(u: Signal) -> Signal:
    return np.floor(np.minimum(3 * u, 2)) / 2


def _pulses(u: Signal) -> Signal:
    return np.sin(6 * np.pi * u**2) ** 2


def _swell(u: Signal) -> Signal:
    return 10 ** (1.5 * (u - 1))


# The course of pitch and of level over the sound, both within [0, 1], and whether time is reversed.
CLASSES: dict[str, tuple[Contour, Contour, bool]] = {
    "rising": (_rise, _full, False),
    "falling": (_rise, _full, True),
    "peak": (_peak, _full, False),
    "valley": (lambda u: 1 - _peak(u), _full, False),
    "steps_up": (_steps, _full, False),
    "steps_down": (_steps, _full, True),
    "accelerating": (_rest, _pulses, False),
    "decelerating": (_rest, _pulses, True),
    "swelling": (_rest, _swell, False),
    "fading": (_rest, _swell, True),
}


def test_folds(folder: Path) -> list[str]:
    """Return the five folds, ``0`` to ``4``. Each has its own seeds; ``folder`` is unused."""
    return list(FOLDS)


def split(folder: Path, fold: str) -> Split:
    """Return 640 training and 160 test clips, with different seeds; ``folder`` is unused."""
    check_fold("tones", fold, FOLDS)
    train = _recordings(fold, "train", TRAIN_PER_CLASS)
    test = _recordings(fold, "test", TEST_PER_CLASS)
    return Split("tones", fold, tuple(CLASSES), train, test)


def _recordings(fold: str, side: str, per_class: int) -> Recordings:
    """Return ``per_class`` clips of every class, sorted by class."""
    targets = tuple(target for target in range(len(CLASSES)) for _ in range(per_class))
    names = tuple(f"fold{fold}/{side}/{index:03}" for index in range(len(targets)))

    def read(index: int, rate: int) -> Tensor:
        rng = np.random.default_rng((SEED, int(fold), int(side == "test"), index))
        clip = _clip(rng, *tuple(CLASSES.values())[targets[index]])
        return resample(torch.from_numpy(clip.astype(np.float32)), SAMPLE_RATE, rate).clamp(-1, 1)

    return Recordings(names, targets, read)


def _clip(rng: Generator, pitch: Contour, level: Contour, reverse: bool) -> Signal:
    """Return a noisy, reverberant tone of three partials, 1 s at 8 kHz: ``(T,)`` in [-1, 1]."""
    samples = int(SECONDS * SAMPLE_RATE)
    length = int(rng.uniform(0.5, 0.9) * samples)
    u = np.arange(length) / length
    u = 1 - u if reverse else u
    lowest = 150 * 3 ** rng.random()
    phase = 2 * np.pi * np.cumsum(lowest * 2 ** (rng.uniform(0.8, 1.5) * pitch(u))) / SAMPLE_RATE
    partials = sum(
        rng.random() * np.sin((k + 1) * phase + rng.uniform(0, 2 * np.pi)) for k in range(3)
    )
    dry = np.zeros(samples)
    start = rng.integers(samples - length + 1)
    dry[start : start + length] = partials * level(u)
    wet = _add_reverberation(rng, dry)
    noise = rng.standard_normal(samples) * np.std(wet) * 10 ** (-rng.uniform(5, 25) / 20)
    clip = wet + noise
    scaled: Signal = clip / np.abs(clip).max() * rng.uniform(0.1, 0.9)
    return scaled


def _add_reverberation(rng: Generator, dry: Signal) -> Signal:
    """Return ``dry`` (T,) convolved with a random impulse response.

    The impulse response is noise that decays exponentially, by 60 dB within 0.05 to 0.3 s.
    """
    seconds = rng.uniform(0.05, 0.3)
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    response = rng.standard_normal(len(time)) * 10 ** (-3 * time / seconds)
    response *= rng.uniform(0, 0.7) / np.linalg.norm(response)
    response[0] += 1
    return np.convolve(dry, response)[: len(dry)]
