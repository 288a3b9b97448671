"""The audio transforms against their definitions; all keep the order of time."""

from __future__ import annotations

import pytest
import torch
from torch import Generator

from frami.audio import transforms
from tests.reference import random_clips


@pytest.fixture
def rng() -> Generator:
    return Generator().manual_seed(1)


def test_roll_rotates_each_clip_by_its_own_shift(rng: Generator) -> None:
    mel, shifts = random_clips(), set()
    for before, after in zip(mel, transforms.roll(mel, rng), strict=True):
        shifts |= {shift for shift in range(20) if torch.equal(before.roll(shift, dims=1), after)}
    assert len(shifts) > 5


def test_crop_keeps_successive_frames(rng: Generator) -> None:
    mel, starts = random_clips(), set()
    for before, after in zip(mel, transforms.crop(mel, rng, n_frames=8), strict=True):
        matches = [start for start in range(13) if torch.equal(before[:, start : start + 8], after)]
        assert len(matches) == 1
        starts |= set(matches)
    assert len(starts) > 4


def test_gain_moves_whole_clips_by_up_to_its_amount(rng: Generator) -> None:
    mel = random_clips(batch=64)
    gains = (transforms.gain(mel, rng, amount=0.5) - mel).flatten(1)
    assert torch.allclose(gains, gains[:, :1].expand_as(gains), atol=1e-6)
    assert float(gains.abs().max()) <= 0.5
    assert float(gains.min()) < -0.3 and float(gains.max()) > 0.3


@pytest.mark.parametrize("dim", [1, 2])
def test_curve_joins_six_values_along_its_dimension(rng: Generator, dim: int) -> None:
    mel = random_clips(n_mels=11, n_frames=21)
    values = 0.7 * torch.randn(16, 1, 6, generator=Generator().manual_seed(1))
    size = mel.shape[dim]
    for clip, curved, points in zip(
        mel, transforms.curve(mel, rng, dim=dim, amount=0.7), values[:, 0], strict=True
    ):
        for place in range(size):
            at = place * 5 / (size - 1)
            low = min(int(at), 4)
            expected = points[low] + (at - low) * (points[low + 1] - points[low])
            added = (curved - clip).select(dim - 1, place)
            assert torch.allclose(added, expected.expand_as(added), atol=1e-5)


@pytest.mark.parametrize("dim", [1, 2])
def test_mask_sets_one_stretch_to_the_mean(rng: Generator, dim: int) -> None:
    mel, widths = random_clips(), []
    for before, after in zip(mel, transforms.mask(mel, rng, dim=dim, fraction=0.5), strict=True):
        covered = (before != after).all(dim=2 - dim).nonzero().flatten()
        expected = before.clone()
        if len(covered):
            assert torch.equal(covered, torch.arange(int(covered[0]), int(covered[-1]) + 1))
            expected.index_fill_(dim - 1, covered, float(before.mean()))
        assert torch.allclose(after, expected, atol=1e-6)
        widths.append(len(covered))
    assert 0 < max(widths) <= 0.5 * mel.shape[dim] + 1 and len(set(widths)) > 2


def test_mixup_keeps_at_least_half_of_each_clip(rng: Generator) -> None:
    mel = random_clips(batch=64)
    mixed, partner, own = transforms.mixup(mel, rng, share=0.5)
    assert sorted(partner.tolist()) == list(range(64))
    assert 0.3 < float((own < 1).float().mean()) < 0.7 and float(own.min()) >= 0.5
    for i in range(64):
        assert torch.allclose(mixed[i], own[i] * mel[i] + (1 - own[i]) * mel[partner[i]], atol=1e-6)
