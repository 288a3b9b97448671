"""What may change about a clip: the audio views keep the order of time, the image views are what they say."""

from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor

from frami import augmentation, image_views, learn, views
from frami.errors import WrongUse


@pytest.fixture
def draw() -> Generator:
    return Generator().manual_seed(1)


def clips(batch: int = 16, bands: int = 12, frames: int = 20) -> Tensor:
    return torch.randn(batch, bands, frames, generator=Generator().manual_seed(0))


def test_rolled_clips_are_rotations_and_differ(draw: Generator) -> None:
    mel, shifts = clips(), set()
    for before, after in zip(mel, views.roll(mel, draw), strict=True):
        shifts |= {shift for shift in range(20) if torch.equal(before.roll(shift, dims=1), after)}
    assert len(shifts) > 5


def test_a_crop_is_of_successive_frames(draw: Generator) -> None:
    mel, starts = clips(), set()
    for before, after in zip(mel, views.crop(mel, draw, frames=8), strict=True):
        found = [start for start in range(13) if torch.equal(before[:, start : start + 8], after)]
        assert len(found) == 1
        starts |= set(found)
    assert len(starts) > 4


def test_a_clip_keeps_its_label_where_labels_count(draw: Generator) -> None:
    classes = torch.arange(16)
    mel, target = classes.float().view(16, 1, 1).expand(16, 12, 100), torch.eye(16)
    alone = learn.Settings(roll=False, gain=0, band_mask=0, time_mask=0, mixup=0, splice=1.0)
    heard, asked = augmentation.augment(mel, target, alone, draw, labelled=True)
    assert torch.equal(heard, mel) and torch.equal(asked, target)
    heard, _ = augmentation.augment(mel, target, alone, draw)
    assert heard.shape[2] == alone.crop and (heard != mel[:, :, : alone.crop]).any()


def test_part_is_half_of_a_clip_with_a_masked_stretch(draw: Generator) -> None:
    part = views.part(clips(frames=21), draw)
    assert part.shape == (16, 12, 11)


def test_image_views_shift_by_up_to_four_and_reverse_half(draw: Generator) -> None:
    mel = clips(batch=64, bands=16, frames=20)
    reversed_clips = 0
    for before, after in zip(mel, image_views.whole(mel, draw), strict=True):
        padded = torch.nn.functional.pad(before, (4, 4, 4, 4))
        found = [
            turned
            for turned in (False, True)
            for down in range(9)
            for right in range(9)
            if torch.equal(after.flip(1) if turned else after, padded[down : down + 16, right : right + 20])
        ]
        assert len(found) == 1
        reversed_clips += found[0]
    assert 16 < reversed_clips < 48


def test_a_part_of_an_image_lies_within_it(draw: Generator) -> None:
    ramp = torch.arange(20.0).expand(32, 12, 20)  # the value of a frame is its number
    part = image_views.part(ramp, draw)
    assert part.shape == ramp.shape
    assert float(part.min()) >= 0 and float(part.max()) <= 19
    spans = part[:, 6, -1] - part[:, 6, 0]
    assert bool((spans > 0).any()) and bool((spans < 0).any()) and float(spans.abs().min()) < 14


def test_views_have_two_kinds() -> None:
    assert views.of("audio") == (views.roll, views.part)
    assert views.of("image") == (image_views.whole, image_views.part)
    with pytest.raises(WrongUse, match="image"):
        views.of("imgae")
