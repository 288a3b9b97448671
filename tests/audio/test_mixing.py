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


def test_random_excerpt_is_never_in_a_pause() -> None:
    sound = torch.zeros(16000)
    sound[:1000] = sound[-1000:] = 1.0
    for seed in range(20):
        part = random_excerpt(sound, 2000, torch.Generator().manual_seed(seed))
        assert len(part) == 2000 and float(part.square().sum()) >= 100


@pytest.mark.parametrize(("semitones", "tempo"), [(0.0, 1.2), (3.0, 1.0), (-3.0, 0.8)])
def test_shift_pitch_and_tempo_changes_each_without_the_other(
    semitones: float, tempo: float
) -> None:
    time = torch.arange(16000) / 16000
    sound = shift_pitch_and_tempo(torch.sin(2 * torch.pi * 500 * time), semitones, tempo)
    assert len(sound) == pytest.approx(16000 / tempo, rel=0.03)
    loudest = torch.fft.rfft(sound).abs().argmax() * 16000 / len(sound)
    assert float(loudest) == pytest.approx(500 * 2 ** (semitones / 12), rel=0.03)
