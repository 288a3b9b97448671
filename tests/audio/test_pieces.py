"""Pieces of one recording: deterministic, audible, varied, from any length of recording."""

from __future__ import annotations

import numpy as np
import pytest

from frami.audio.pieces import augmented_clip, generated_recording

RATE = 8000


def make_clip(recording: np.ndarray, seed: int, n_samples: int = 2000) -> np.ndarray:
    return augmented_clip(recording, np.random.default_rng(seed), n_samples, RATE)


def test_generated_recording_has_sounds_throughout() -> None:
    recording = generated_recording(np.random.default_rng(0), 20.0, RATE)
    assert recording.shape == (20 * RATE,) and recording.dtype == np.float32
    assert np.abs(recording).max() == pytest.approx(1)
    energy = (recording.reshape(10, -1) ** 2).mean(axis=1)
    assert (energy > 1e-7).sum() >= 8


@pytest.mark.parametrize("length", [1, 50, 30_000])
def test_clip_of_any_recording_is_audible_and_deterministic(length: int) -> None:
    recording = np.random.default_rng(1).uniform(-1, 1, length).astype(np.float32)
    for seed in range(10):
        clip = make_clip(recording, seed)
        assert clip.shape == (2000,) and clip.dtype == np.float32
        assert 0.01 < np.abs(clip).max() <= 1
        np.testing.assert_array_equal(clip, make_clip(recording, seed))
    assert not np.allclose(make_clip(recording, 0), make_clip(recording, 1), atol=1e-3)


def test_speed_changes_the_pitch_of_a_tone() -> None:
    recording = np.sin(2 * np.pi * 500 * np.arange(40_000) / RATE).astype(np.float32)
    spectra = np.abs(np.fft.rfft([make_clip(recording, seed, RATE) for seed in range(40)]))
    peaks = spectra.argmax(axis=1)  # a clip of one second: the bin is the frequency (Hz)
    assert peaks.min() < 300 and peaks.max() > 900
    assert peaks.min() >= 500 / 3 - 5 and peaks.max() <= 1500 + 5


def test_silent_parts_of_a_recording_are_avoided() -> None:
    recording = np.zeros(100_000, dtype=np.float32)
    recording[10_000:60_000] = np.random.default_rng(2).uniform(-1, 1, 50_000)
    peaks = [np.abs(make_clip(recording, seed)).max() for seed in range(50)]
    assert min(peaks) > 0.01
