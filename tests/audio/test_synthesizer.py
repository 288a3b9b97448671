"""Sounds of random programs: deterministic, audible, within full scale, and varied."""

from __future__ import annotations

import numpy as np
import pytest

from frami.audio.sound_parts import ENVELOPES, SOURCES, Part
from frami.audio.synthesizer import LOWEST_LEVEL, sound
from frami.core.errors import UsageError

RATE = 8000


def make_sound(index: int, n_samples: int = RATE, rate: int = RATE) -> np.ndarray:
    return sound(np.random.default_rng([7, index]), n_samples, rate)


@pytest.fixture(scope="module")
def sounds() -> np.ndarray:
    """Return 60 sounds of a second, ``(60, 8000)``."""
    return np.stack([make_sound(index) for index in range(60)])


def test_equal_random_numbers_give_an_equal_sound() -> None:
    np.testing.assert_array_equal(make_sound(3), make_sound(3))
    assert not np.allclose(make_sound(3), make_sound(4), atol=1e-4)


def test_sound_is_float32_within_full_scale_and_audible(sounds: np.ndarray) -> None:
    peaks = np.abs(sounds).max(axis=1)
    assert sounds.dtype == np.float32
    assert np.isfinite(sounds).all()
    assert peaks.max() <= 1
    assert peaks.min() >= 10 ** (LOWEST_LEVEL / 20) * 0.999


@pytest.mark.parametrize("n_samples", [1, 2, 3, 50, 1001])
@pytest.mark.parametrize("rate", [400, 44100])
def test_sound_of_any_length_and_rate_is_audible(n_samples: int, rate: int) -> None:
    for index in range(20):
        samples = make_sound(index, n_samples, rate)
        assert samples.shape == (n_samples,)
        assert 0 < np.abs(samples).max() <= 1


def test_spectra_cover_low_and_high_tones_and_noises(sounds: np.ndarray) -> None:
    power = np.abs(np.fft.rfft(sounds)) ** 2 + 1e-12
    hertz = np.fft.rfftfreq(RATE, 1 / RATE)
    centroids = (power * hertz).sum(axis=1) / power.sum(axis=1)
    assert np.percentile(centroids, 10) < 400
    assert np.percentile(centroids, 90) > 1200
    flatness = np.exp(np.log(power).mean(axis=1)) / power.mean(axis=1)
    assert flatness.min() < 0.01  # a tone
    assert flatness.max() > 0.1  # a noise


def test_envelopes_range_from_short_events_to_steady_sounds(sounds: np.ndarray) -> None:
    energy = (sounds.reshape(len(sounds), 100, -1) ** 2).sum(axis=2)
    active = (energy > 0.01 * energy.max(axis=1, keepdims=True)).mean(axis=1)
    assert active.min() < 0.3
    assert active.max() > 0.95


@pytest.mark.parametrize("part", SOURCES + ENVELOPES, ids=lambda part: part.__name__)
def test_part_is_finite_and_not_silent(part: Part) -> None:
    for index in range(10):
        samples = part(np.random.default_rng(index), 2000, RATE)
        assert samples.shape == (2000,)
        assert np.isfinite(samples).all()
        assert np.abs(samples).max() > 1e-3
        if part in ENVELOPES:
            assert samples.min() >= 0


def test_wrong_length_and_rate_are_refused() -> None:
    with pytest.raises(UsageError, match="`n_samples` is 0"):
        make_sound(0, n_samples=0)
    with pytest.raises(UsageError, match="`sample_rate` is 10"):
        make_sound(0, rate=10)
