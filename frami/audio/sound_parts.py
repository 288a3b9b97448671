"""Parts of random sounds: sources, envelopes and filters, each with random parameters.

A source takes ``(rng, n, rate)`` and returns ``n`` samples of any level. An envelope returns ``n``
gains of 0 or more. Both are float64 arrays.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq
from scipy.signal import fftconvolve, lfilter

Samples = NDArray[np.float64]
Part = Callable[[Generator, int, int], Samples]

MAX_PARTIALS = 20
HIGHEST = 0.47  # highest frequency of any part, as a share of the sample rate


def log_uniform(rng: Generator, low: float, high: float) -> float:
    """Return a random number whose logarithm is uniform between ``low`` and ``high``."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def smooth_curve(rng: Generator, n: int, knots: int) -> Samples:
    """Return a curve through random points, normal with deviation 1; ``knots`` is at least 2."""
    return np.interp(np.linspace(0, knots - 1, n), np.arange(knots), rng.standard_normal(knots))


# Sources


def colored_noise(rng: Generator, n: int, rate: int) -> Samples:
    """Return noise with a random slope, a random bumpy spectrum and, at times, one band."""
    size = next_fast_len(n + 1, real=True)
    spectrum = rfft(rng.standard_normal(size))
    octaves = np.log(rfftfreq(size, 1 / rate) + 20)
    gain = -0.5 * rng.uniform(-0.5, 2.0) * octaves
    bumps = rng.standard_normal(8) * rng.uniform(0, 2.0)
    gain += np.interp(octaves, np.linspace(octaves[0], octaves[-1], len(bumps)), bumps)
    spectrum *= np.exp(gain)
    if rng.random() < 0.5:
        center = np.log(log_uniform(rng, 0.006 * rate, HIGHEST * rate))
        spectrum *= np.exp(-0.5 * ((octaves - center) / rng.uniform(0.1, 1.2)) ** 2) + 1e-3
    noise: Samples = irfft(spectrum, size)[:n]
    return noise


def harmonic_stack(rng: Generator, n: int, rate: int) -> Samples:
    """Return a tone with overtones; its pitch glides, vibrates or repeats a ramp."""
    pitch = log_uniform(rng, 40, 0.2 * rate)
    time = np.arange(n) / rate
    bend = smooth_curve(rng, n, int(rng.integers(2, 20))) * rng.uniform(0, 0.4)
    if rng.random() < 0.4:
        bend += rng.uniform(0, 0.2) * np.sin(2 * np.pi * rng.uniform(0.3, 9) * time)
    if rng.random() < 0.3:
        bend += rng.uniform(-1, 1) * ((time * rng.uniform(0.5, 6)) % 1)
    frequency = np.clip(pitch * np.exp(bend), 20, HIGHEST * rate)
    phase = 2 * np.pi * np.cumsum(frequency) / rate
    count = int(np.clip(HIGHEST * rate / pitch, 1, MAX_PARTIALS))
    step = 2 if rng.random() < 0.2 else 1  # odd overtones alone sound hollow
    roll_off, tone = rng.uniform(0.3, 2.5), np.zeros(n)
    for partial in range(1, count + 1, step):
        level = partial**-roll_off * np.exp(0.5 * rng.standard_normal())
        wave = np.sin(partial * phase + rng.uniform(0, 2 * np.pi))
        tone += level * wave * (partial * frequency < HIGHEST * rate)
    return tone


def chirp(rng: Generator, n: int, rate: int) -> Samples:
    """Return a sweep between two frequencies, once or again and again."""
    low, high = (np.log(log_uniform(rng, 60, HIGHEST * rate)) for _ in range(2))
    sweeps = log_uniform(rng, 0.5, 12)
    position = (np.arange(n) / max(1, n - 1) * max(1.0, sweeps)) % 1
    frequency = np.exp(low + (high - low) * position ** rng.uniform(0.4, 2.5))
    sweep: Samples = np.sin(2 * np.pi * np.cumsum(frequency) / rate)
    return sweep


def clicks(rng: Generator, n: int, rate: int) -> Samples:
    """Return clicks through resonators; they are regular, irregular, or something in between."""
    train = np.zeros(n)
    gap, regular = rate / log_uniform(rng, 1, 200), rng.uniform()
    at = rng.uniform(0, min(gap, n / 2))
    while at < n:
        train[int(at)] = rng.uniform(0.3, 1)
        at += 1 + gap * (regular + (1 - regular) * rng.exponential())
    return resonate(rng, train, rate)


SOURCES: tuple[Part, ...] = (colored_noise, harmonic_stack, chirp, clicks)


# Envelopes


def _drifting(rng: Generator, n: int, rate: int) -> Samples:
    return np.exp(smooth_curve(rng, n, int(rng.integers(2, 30))) * rng.uniform(0.1, 1.5))


def _periodic(rng: Generator, n: int, rate: int) -> Samples:
    phase = (np.arange(n) / rate * log_uniform(rng, 0.5, 30) + rng.uniform()) % 1
    return np.exp(-phase * rng.uniform(1, 12))


def _events(rng: Generator, n: int, rate: int) -> Samples:
    gains = np.zeros(n)
    for _ in range(rng.integers(1, 8)):
        start = int(rng.integers(0, max(1, int(0.8 * n))))
        attack, decay = rng.uniform(0.001, 0.1) * rate, rng.uniform(0.02, 0.8) * rate
        index = np.arange(1, n - start + 1)
        gains[start:] += (
            rng.uniform(0.2, 1) * np.minimum(1, index / attack) * np.exp(-index / decay)
        )
    return gains


def _gate(rng: Generator, n: int, rate: int) -> Samples:
    length = int(rng.uniform(0.1, 0.9) * n)
    start = int(rng.integers(0, max(1, n - length)))
    ramp = max(1.0, rng.uniform(0.002, 0.05) * rate)
    index = np.arange(n)
    inside = np.minimum(index - start + 1, start + length + 1 - index)
    gains: Samples = np.clip(inside / ramp, 0, 1)
    return gains


def _steady(rng: Generator, n: int, rate: int) -> Samples:
    return np.ones(n)


ENVELOPES: tuple[Part, ...] = (_drifting, _periodic, _events, _gate, _steady)


# Filters


def resonate(rng: Generator, samples: Samples, rate: int) -> Samples:
    """Return a sound through one to three resonators, which move between two sets at times."""
    first = _resonators(rng, samples, rate)
    if rng.random() < 0.6:
        return first
    second = _resonators(rng, samples, rate)
    first, second = (part / (np.abs(part).max() + 1e-9) for part in (first, second))
    share = 0.5 + 0.5 * np.tanh(2 * smooth_curve(rng, len(samples), int(rng.integers(2, 8))))
    moving: Samples = (1 - share) * first + share * second
    return moving


def _resonators(rng: Generator, samples: Samples, rate: int) -> Samples:
    for _ in range(rng.integers(1, 4)):
        center = log_uniform(rng, 80, HIGHEST * rate)
        radius = np.exp(-np.pi * center * log_uniform(rng, 0.01, 0.5) / rate)
        poles = [1.0, -2 * radius * np.cos(2 * np.pi * center / rate), radius**2]
        samples = 0.2 * samples + rng.uniform(1, 5) * lfilter([1 - radius], poles, samples)
    return samples


def reverberate(rng: Generator, samples: Samples, rate: int) -> Samples:
    """Return a sound in a random room: direct sound and decaying noise of 0.05 to 1 s."""
    length = max(2, int(rng.uniform(0.05, 1) * rate))
    response = rng.standard_normal(length) * np.exp(-5 * np.arange(length) / length)
    response[0] = np.linalg.norm(response) * log_uniform(rng, 0.3, 5)
    wet: Samples = fftconvolve(samples, response)[: len(samples)]
    return wet
