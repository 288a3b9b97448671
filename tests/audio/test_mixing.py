"""Sounds are trimmed, cut and changed as soundscapes need them."""

from __future__ import annotations

import pytest
import torch

from frami.audio.mixing import random_excerpt, shift_pitch_and_tempo, trim_silence


def test_trim_silence_removes_silence_at_both_ends() -> None:
    sound = torch.zeros(16000)
    sound[4000:6000] = torch.sin(torch.arange(2000.0))
    kept = trim_silence(sound, 16000)
    assert 2000 <= len(kept) <= 2000 + 2 * 320
    assert torch.equal(trim_silence(torch.zeros(100), 16000), torch.zeros(100))


@pytest.mark.parametrize("length", [2000, 8000, 15000, 40000])
def test_random_excerpt_starts_and_ends_where_the_sound_is_loud(length: int) -> None:
    rate = 8000
    sound = 0.01 * torch.randn(16000, generator=torch.Generator().manual_seed(0))
    sound[200:1200] = torch.sin(torch.arange(1000.0))
    sound[-5000:-3000] = 0.5 * torch.sin(torch.arange(2000.0))
    for seed in range(20):
        part = random_excerpt(sound, length, rate, torch.Generator().manual_seed(seed))
        assert 160 <= len(part) <= length
        for edge in (part[:160], part[-160:]):
            assert float(edge.square().mean()) >= 0.004  # 20 dB below a sine of 1, or more


def test_random_excerpt_has_the_length_if_the_sound_allows_it() -> None:
    tone = torch.sin(torch.arange(3000.0))
    for length in (100, 2000, 3000, 7000):
        assert len(random_excerpt(tone, length, 8000, torch.Generator().manual_seed(0))) == length
    # One click and one second of silence: nothing longer than the click is loud at its end.
    click = torch.cat([torch.ones(800), torch.zeros(8000)])
    part = random_excerpt(click, 4000, 8000, torch.Generator().manual_seed(0))
    assert len(part) <= 950


def test_random_excerpt_does_not_join_end_and_start_of_a_long_sound() -> None:
    ramp = torch.linspace(0.5, 1, 10000)
    for seed in range(20):
        part = random_excerpt(ramp, 9000, 8000, torch.Generator().manual_seed(seed))
        assert len(part) == 9000 and bool((part.diff() > 0).all())


@pytest.mark.parametrize(("semitones", "tempo"), [(0.0, 1.2), (3.0, 1.0), (-3.0, 0.8)])
def test_shift_pitch_and_tempo_changes_each_without_the_other(
    semitones: float, tempo: float
) -> None:
    time = torch.arange(16000) / 16000
    sound = shift_pitch_and_tempo(torch.sin(2 * torch.pi * 500 * time), semitones, tempo)
    assert len(sound) == pytest.approx(16000 / tempo, rel=0.03)
    loudest = torch.fft.rfft(sound).abs().argmax() * 16000 / len(sound)
    assert float(loudest) == pytest.approx(500 * 2 ** (semitones / 12), rel=0.03)
