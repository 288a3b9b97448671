"""Random recording conditions against their definitions."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from frami.audio import filterbanks
from frami.audio.features import front_end_of
from frami.audio.frontend import FrontEnd
from frami.audio.presets import PRESETS
from frami.inversion.conditions import (
    ConditionSettings,
    sample_conditions,
    sample_noise_texture,
    sample_offset,
)


def test_sample_offset_has_the_requested_deviations() -> None:
    rng, shape = torch.Generator().manual_seed(0), (2000, 6, 8)
    level = sample_offset(shape, rng, level=2.0, filter=0.0, envelope=0.0)
    assert torch.equal(level, level[:, :1, :1].expand(shape))
    assert 1.9 < float(level[:, 0, 0].std()) < 2.1
    curves = sample_offset(shape, rng, level=0.0, filter=0.5, envelope=0.0)
    assert torch.equal(curves, curves[:, :, :1].expand(shape))
    assert 0.45 < float(curves[:, 0].std()) < 0.55
    envelopes = sample_offset(shape, rng, level=0.0, filter=0.0, envelope=0.5)
    assert torch.equal(envelopes, envelopes[:, :1].expand(shape))


def test_sample_noise_texture_has_the_moments_of_gamma_power(front_end: FrontEnd) -> None:
    shape = (64, front_end.n_mels, 50)
    textures = [
        sample_noise_texture(shape, torch.Generator().manual_seed(seed), front_end)
        for seed in (0, 0, 1)
    ]
    assert torch.equal(textures[0], textures[1]) and not torch.equal(textures[0], textures[2])
    assert textures[0].shape == shape and textures[0].dtype == torch.float32
    bins, power = filterbanks.effective_bins(front_end), (textures[0] * front_end.std).exp()
    ones = torch.ones_like(bins)
    torch.testing.assert_close(power.mean(dim=(0, 2)), ones, rtol=0, atol=0.1)
    torch.testing.assert_close(power.var(dim=(0, 2)) * bins, ones, rtol=0, atol=0.2)


def test_a_share_of_the_clips_starts_at_random_sounds(front_end: FrontEnd) -> None:
    settings = ConditionSettings(level=0.0, filter=0.0, envelope=0.0, sounds=0.4, sound_choices=1)
    shape, rng = (5, front_end.n_mels, 33), torch.Generator().manual_seed(0)
    offset, texture = sample_conditions(shape, rng, settings, front_end, never)
    assert offset.shape == texture.shape == shape
    assert texture.abs().amax(dim=(1, 2)).bool().tolist() == [False, False, True, True, True]
    # The two sounds differ, and have the values of a spectrogram; the other clips start at 0.
    assert not torch.equal(offset[0], offset[1]) and not offset[2:].any()
    low, high = front_end.value_range
    assert bool(((low <= offset[:2]) & (offset[:2] <= high)).all())
    assert float(offset[:2].std()) > 0.1


def never(sounds: Tensor, count: int) -> Tensor:
    """Fail: there is one sound for each clip."""
    raise AssertionError("there is no choice")


def test_sounds_are_chosen_among_several(front_end: FrontEnd) -> None:
    settings = ConditionSettings(level=0.0, filter=0.0, envelope=0.0, sounds=0.4, sound_choices=3)
    shape, rng = (5, front_end.n_mels, 33), torch.Generator().manual_seed(0)
    seen: list[Tensor] = []

    def last(sounds: Tensor, count: int) -> Tensor:
        seen.append(sounds)
        return sounds[-count:]

    offset, _ = sample_conditions(shape, rng, settings, front_end, last)
    assert len(seen[0]) == 6 and torch.equal(offset[:2], seen[0][-2:])


@pytest.mark.parametrize("name", ["panns", "ast", "whisper", "efficientat"])
def test_sample_noise_texture_has_the_spread_of_noise_in_each_preset(name: str) -> None:
    front_end, rng = PRESETS[name], torch.Generator().manual_seed(0)
    noise = 0.3 * torch.randn(4 * front_end.sample_rate, generator=rng)
    measured = front_end(noise)[:, 9:-9].std(dim=1)
    texture = sample_noise_texture((2, front_end.n_mels, 1000), rng, front_end)
    ratio = texture.std(dim=(0, 2)) / measured
    bands = filterbanks.filterbank_matrix(front_end).sum(dim=0) > 0
    assert float(ratio[bands].median()) == pytest.approx(1, abs=0.15)


def test_conditions_of_mfccs_are_those_of_their_bands() -> None:
    front_end, rng = replace(PRESETS["mfcc"], std=20.0), torch.Generator().manual_seed(0)
    shape = (500, 10, 20)
    level = sample_offset(shape, rng, level=1.0, filter=0.0, envelope=0.0, front_end=front_end)
    # A level is a constant over the bands: only the first coefficient changes.
    assert level.shape == shape and float(level[:, 1:].abs().max()) < 1e-4
    assert float(level[:, 0].std()) == pytest.approx(math.sqrt(2 * 10), rel=0.1)
    noise = 0.3 * torch.randn(16000 * 4, generator=rng)
    measured = front_end(noise).std(dim=1)
    texture = sample_noise_texture((500, 10, 20), rng, front_end)
    assert texture.shape == shape
    # Bands are drawn independently; those of noise share bins, so low coefficients vary more.
    assert float((texture.std(dim=(0, 2)) / measured).median()) == pytest.approx(1, abs=0.3)


def test_sample_noise_texture_of_a_function_has_its_spread(tmp_path: Path) -> None:
    source = """
from frami.audio.presets import PRESETS
def mel(waveform):
    return PRESETS["bcresnet"](waveform)
"""
    (tmp_path / "own.py").write_text(source, encoding="utf-8")
    front_end = replace(front_end_of(f"{tmp_path / 'own.py'}:mel", 16000), std=2.0)
    texture = sample_noise_texture((4, 40, 500), torch.Generator().manual_seed(0), front_end)
    noise = 2 * torch.rand(64000) - 1
    ratio = texture.std(dim=(0, 2)) / front_end(noise).std(dim=1)
    assert float((ratio - 1).abs().max()) < 0.2
