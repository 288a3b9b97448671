"""What may change about a clip: the audio views keep the order of time, the image views are what they say."""

from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor

from frami.audio import transforms
from frami.core.errors import UsageError
from frami.inversion import image_views, views
from frami.training import augment, loop


@pytest.fixture
def rng() -> Generator:
    return Generator().manual_seed(1)


def clips(batch: int = 16, bands: int = 12, frames: int = 20) -> Tensor:
    return torch.randn(batch, bands, frames, generator=Generator().manual_seed(0))


def test_rolled_clips_are_rotations_and_differ(rng: Generator) -> None:
    mel, shifts = clips(), set()
    for before, after in zip(mel, transforms.roll(mel, rng), strict=True):
        shifts |= {shift for shift in range(20) if torch.equal(before.roll(shift, dims=1), after)}
    assert len(shifts) > 5


def test_a_crop_is_of_successive_frames(rng: Generator) -> None:
    mel, starts = clips(), set()
    for before, after in zip(mel, transforms.crop(mel, rng, frames=8), strict=True):
        found = [start for start in range(13) if torch.equal(before[:, start : start + 8], after)]
        assert len(found) == 1
        starts |= set(found)
    assert len(starts) > 4


def test_a_clip_keeps_its_label_where_labels_count(rng: Generator) -> None:
    classes = torch.arange(16)
    mel, target = classes.float().view(16, 1, 1).expand(16, 12, 100), torch.eye(16)
    alone = loop.TrainingSettings(roll=False, gain=0, band_mask=0, time_mask=0, mixup=0, splice=1.0)
    heard, asked = augment.augment(mel, target, alone, rng, labelled=True)
    assert torch.equal(heard, mel) and torch.equal(asked, target)
    heard, _ = augment.augment(mel, target, alone, rng)
    assert heard.shape[2] == alone.max_frames and (heard != mel[:, :, : alone.max_frames]).any()


def test_part_is_half_of_a_clip_with_masked_stretches(rng: Generator) -> None:
    mel = clips(frames=21)
    part = views.crop_gain_and_mask(mel, rng)
    assert part.shape == (16, 12, 11)
    masked = 0
    for before, after in zip(mel, part, strict=True):
        # Louder or softer as a whole, but for what a mask covers.
        kept = [((after - before[:, start : start + 11]) * 1e4).round() for start in range(11)]
        masked += 132 - max(int((gap == gap.median()).sum()) for gap in kept)
    assert 0 < masked < 0.4 * part.numel()


def test_gain_moves_whole_clips_by_up_to_its_amount(rng: Generator) -> None:
    mel = clips(batch=64)
    moved = (transforms.gain(mel, rng, amount=0.5) - mel).flatten(1)
    assert torch.allclose(moved, moved[:, :1].expand_as(moved), atol=1e-6)
    assert (
        float(moved.abs().max()) <= 0.5 and float(moved.min()) < -0.3 and float(moved.max()) > 0.3
    )


@pytest.mark.parametrize("dim", [1, 2])
def test_a_curve_joins_six_values_along_its_dimension(rng: Generator, dim: int) -> None:
    mel = clips(bands=11, frames=21)
    values = 0.7 * torch.randn(16, 1, 6, generator=Generator().manual_seed(1))
    size = mel.shape[dim]
    for clip, curved, joints in zip(
        mel, transforms.curve(mel, rng, dim=dim, amount=0.7), values[:, 0], strict=True
    ):
        for place in range(size):
            at = place * 5 / (size - 1)
            low = min(int(at), 4)
            wanted = joints[low] + (at - low) * (joints[low + 1] - joints[low])
            added = (curved - clip).select(dim - 1, place)
            assert torch.allclose(added, wanted.expand_as(added), atol=1e-5)


@pytest.mark.parametrize("dim", [1, 2])
def test_a_mask_sets_one_stretch_to_the_mean(rng: Generator, dim: int) -> None:
    widths = []
    for before, after in zip(
        clips(), transforms.mask(clips(), rng, dim=dim, fraction=0.5), strict=True
    ):
        covered = (before != after).all(dim=2 - dim).nonzero().flatten()
        wanted = before.clone()
        if len(covered):
            assert torch.equal(covered, torch.arange(int(covered[0]), int(covered[-1]) + 1))
            wanted.index_fill_(dim - 1, covered, float(before.mean()))
        assert torch.allclose(after, wanted, atol=1e-6)
        widths.append(len(covered))
    assert 0 < max(widths) <= 0.5 * clips().shape[dim] + 1 and len(set(widths)) > 2


def test_mixup_is_a_sum_of_two_clips_of_which_the_own_is_more(rng: Generator) -> None:
    mel = clips(batch=64)
    mixed, partner, own = transforms.mixup(mel, rng, share=0.5)
    assert sorted(partner.tolist()) == list(range(64))
    assert 0.3 < float((own < 1).float().mean()) < 0.7 and float(own.min()) >= 0.5
    for i in range(64):
        assert torch.allclose(mixed[i], own[i] * mel[i] + (1 - own[i]) * mel[partner[i]], atol=1e-6)


def test_targets_are_mixed_as_their_clips_are(rng: Generator) -> None:
    # A clip is a 1 in the band of its class, so that the mix can be read from it.
    mel, target = torch.eye(16).unsqueeze(2).repeat(1, 1, 8), torch.eye(16)
    alone = loop.TrainingSettings(roll=False, gain=0, band_mask=0, time_mask=0, mixup=1.0, splice=0)
    heard, asked = augment.augment(mel, target, alone, rng)
    assert torch.allclose(heard[:, :, 0], asked, atol=1e-6) and bool((asked.amax(dim=1) < 1).any())


def test_bands_of_several_front_ends_are_altered_alike(rng: Generator) -> None:
    mel = clips(batch=32, bands=16, frames=20)
    heard, _ = augment.augment(
        torch.cat([mel, 2 * mel + 3], dim=1),
        torch.eye(32),
        loop.TrainingSettings(gain=0, max_frames=12),
        rng,
        bands=(16, 16),
    )
    assert torch.allclose(2 * heard[:, :16] + 3, heard[:, 16:], atol=1e-5)


def test_image_views_shift_by_up_to_four_and_reverse_half(rng: Generator) -> None:
    mel = clips(batch=64, bands=16, frames=20)
    reversed_clips = 0
    for before, after in zip(mel, image_views.shift_and_flip(mel, rng), strict=True):
        padded = torch.nn.functional.pad(before, (4, 4, 4, 4))
        found = [
            turned
            for turned in (False, True)
            for down in range(9)
            for right in range(9)
            if torch.equal(
                after.flip(1) if turned else after, padded[down : down + 16, right : right + 20]
            )
        ]
        assert len(found) == 1
        reversed_clips += found[0]
    assert 16 < reversed_clips < 48


def test_a_part_of_an_image_lies_within_it(rng: Generator) -> None:
    ramp = torch.arange(20.0).expand(32, 12, 20)  # the value of a frame is its number
    part = image_views.random_resized_crop(ramp, rng)
    assert part.shape == ramp.shape
    assert float(part.min()) >= 0 and float(part.max()) <= 19
    spans = part[:, 6, -1] - part[:, 6, 0]
    assert bool((spans > 0).any()) and bool((spans < 0).any()) and float(spans.abs().min()) < 14


def test_views_have_two_kinds() -> None:
    assert views.get_views("audio") == (transforms.roll, views.crop_gain_and_mask)
    assert views.get_views("image") == (image_views.shift_and_flip, image_views.random_resized_crop)
    with pytest.raises(UsageError, match="image"):
        views.get_views("imgae")
