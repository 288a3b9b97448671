"""The views of inversion: the audio views keep the order of time, the image views do not."""

from __future__ import annotations

import pytest
import torch
from torch import Generator

from frami.audio import transforms
from frami.core.errors import UsageError
from frami.inversion import image_views, views
from tests.reference import random_clips


@pytest.fixture
def rng() -> Generator:
    return Generator().manual_seed(1)


def test_crop_gain_and_mask_gives_half_of_a_clip_with_masked_stretches(rng: Generator) -> None:
    mel = random_clips(n_frames=21)
    part = views.crop_gain_and_mask(mel, rng)
    assert part.shape == (16, 12, 11)
    masked = 0
    for before, after in zip(mel, part, strict=True):
        # The gain is the same everywhere, except under a mask.
        gaps = [((after - before[:, start : start + 11]) * 1e4).round() for start in range(11)]
        masked += 132 - max(int((gap == gap.median()).sum()) for gap in gaps)
    assert 0 < masked < 0.4 * part.numel()


def test_shift_and_flip_shifts_by_up_to_four_and_reverses_half(rng: Generator) -> None:
    mel = random_clips(batch=64, n_mels=16, n_frames=20)
    n_reversed = 0
    for before, after in zip(mel, image_views.shift_and_flip(mel, rng), strict=True):
        padded = torch.nn.functional.pad(before, (4, 4, 4, 4))
        matches = [
            flipped
            for flipped in (False, True)
            for down in range(9)
            for right in range(9)
            if torch.equal(
                after.flip(1) if flipped else after, padded[down : down + 16, right : right + 20]
            )
        ]
        assert len(matches) == 1
        n_reversed += matches[0]
    assert 16 < n_reversed < 48


def test_random_resized_crop_stays_within_the_clip(rng: Generator) -> None:
    ramp = torch.arange(20.0).expand(32, 12, 20)  # the value of a frame is its index
    part = image_views.random_resized_crop(ramp, rng)
    assert part.shape == ramp.shape
    assert float(part.min()) >= 0 and float(part.max()) <= 19
    spans = part[:, 6, -1] - part[:, 6, 0]
    assert bool((spans > 0).any()) and bool((spans < 0).any()) and float(spans.abs().min()) < 14


def test_get_views_returns_both_views_of_a_kind() -> None:
    assert views.get_views("audio") == (transforms.roll, views.crop_gain_and_mask)
    assert views.get_views("image") == (image_views.shift_and_flip, image_views.random_resized_crop)
    with pytest.raises(UsageError, match="image"):
        views.get_views("imgae")
