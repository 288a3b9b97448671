"""Ten classes of moving tones, made from a seed: no download, and no class without both pitch and time.

Classes come in groups with the same sounds in another order (most are each other run backwards), so that
the mean spectrum of a clip does not tell them apart. Pitch, tempo, level, noise and room are drawn at random.
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
from frami.core.errors import unknown_name
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


# Pitch and level, both from 0 to 1, over the length of the sound, and whether it runs backwards.
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
    """Return the five folds, ``0`` to ``4``; each has seeds of its own; ``folder`` is unused."""
    return list(FOLDS)


def split(folder: Path, fold: str) -> Split:
    """Return 640 clips to train on and 160 to test on, of seeds all their own; ``folder`` is unused."""
    if fold not in FOLDS:
        raise unknown_name("fold of tones", fold, FOLDS)
    train, test = (
        _recordings(fold, "train", TRAIN_PER_CLASS),
        _recordings(fold, "test", TEST_PER_CLASS),
    )
    return Split("tones", fold, tuple(CLASSES), train, test)


def _recordings(fold: str, side: str, per_class: int) -> Recordings:
    """Return ``per_class`` clips of every class, one class after the other."""
    targets = tuple(target for target in range(len(CLASSES)) for _ in range(per_class))
    names = tuple(f"fold{fold}/{side}/{index:03}" for index in range(len(targets)))

    def read(index: int, rate: int) -> Tensor:
        rng = np.random.default_rng((SEED, int(fold), int(side == "test"), index))
        clip = _clip(rng, *tuple(CLASSES.values())[targets[index]])
        return resample(torch.from_numpy(clip.astype(np.float32)), SAMPLE_RATE, rate).clamp(-1, 1)

    return Recordings(names, targets, read)


def _clip(rng: Generator, pitch: Contour, level: Contour, backwards: bool) -> Signal:
    """Return one second at 8 kHz ``(T,)``: a tone of three partials in a noisy room, within [-1, 1]."""
    samples = int(SECONDS * SAMPLE_RATE)
    length = int(rng.uniform(0.5, 0.9) * samples)
    u = np.arange(length) / length
    u = 1 - u if backwards else u
    lowest = 150 * 3 ** rng.random()
    phase = 2 * np.pi * np.cumsum(lowest * 2 ** (rng.uniform(0.8, 1.5) * pitch(u))) / SAMPLE_RATE
    partials = sum(
        rng.random() * np.sin((k + 1) * phase + rng.uniform(0, 2 * np.pi)) for k in range(3)
    )
    dry = np.zeros(samples)
    start = rng.integers(samples - length + 1)
    dry[start : start + length] = partials * level(u)
    wet = _in_a_room(rng, dry)
    noise = rng.standard_normal(samples) * np.std(wet) * 10 ** (-rng.uniform(5, 25) / 20)
    clip = wet + noise
    return clip / np.abs(clip).max() * rng.uniform(0.1, 0.9)


def _in_a_room(rng: Generator, dry: Signal) -> Signal:
    """Return ``dry`` (T,) with exponentially decaying noise as the room's answer, 0.05 to 0.3 s to -60 dB."""
    seconds = rng.uniform(0.05, 0.3)
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    room = rng.standard_normal(len(time)) * 10 ** (-3 * time / seconds)
    room *= rng.uniform(0, 0.7) / np.linalg.norm(room)
    room[0] += 1
    return np.convolve(dry, room)[: len(dry)]
