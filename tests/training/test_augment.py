"""Augmentation of clips and their targets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator

from frami.audio.frontend import FrontEnd
from frami.data.clips import event_timeline
from frami.models import tasks
from frami.training import loop
from frami.training.augment import augment
from tests.reference import random_clips

OFF: dict[str, Any] = {
    "roll": False,
    "gain": 0.0,
    "band_mask": 0.0,
    "time_mask": 0.0,
    "splice": 0.0,
    "mixup": 0.0,
}


@pytest.fixture
def rng() -> Generator:
    return Generator().manual_seed(1)


def partly_unknown_batch(front_end: FrontEnd) -> torch.Tensor:
    """Return timelines of 8 clips: one without event times, one without labels, 6 silent ones."""
    weak, unlabeled = (
        event_timeline(None, np.array(tags), 8, front_end).float().unsqueeze(0)
        for tags in ([1.0, 0.0], [np.nan, np.nan])
    )
    return torch.cat([weak, unlabeled, torch.zeros(6, 2, 8)])


def test_augment_unknown_target_does_not_spread(front_end: FrontEnd) -> None:
    batch = partly_unknown_batch(front_end)
    for settings in (
        loop.TrainingSettings(splice=0.0),
        loop.TrainingSettings(splice=1.0, mixup=0.0),
    ):
        rng = torch.Generator().manual_seed(2)
        _, target = augment(torch.randn(8, 24, 8), batch, settings, rng, labeled=True)
        assert (~target.isfinite()).flatten(1).any(dim=1).tolist() == [True, True] + [False] * 6
    loss = tasks.find_task("sound-events").cross_entropy(torch.randn(8, 2, 9), target)
    assert loss.isfinite()


def test_augment_without_labels_mixes_unknown_clips(front_end: FrontEnd) -> None:
    batch, clips = partly_unknown_batch(front_end), torch.randn(8, 24, 8)
    settings = loop.TrainingSettings(**OFF | {"splice": 1.0})
    for labeled in (True, False):
        rng = torch.Generator().manual_seed(2)
        mel, _ = augment(clips, batch, settings, rng, labeled=labeled)
        assert torch.equal(mel[:2], clips[:2]) == labeled
        assert not torch.equal(mel, clips)


def test_augment_timeline_moves_with_clip() -> None:
    mel = (torch.rand(8, 6, 40, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    settings = loop.TrainingSettings(gain=0.0, band_mask=0.0, time_mask=0.0, max_frames=16)
    moved, target = augment(mel, mel[:, :3].clone(), settings, torch.Generator().manual_seed(1))
    assert moved.shape[2] == 16 and not torch.equal(moved, mel[:, :, :16])
    torch.testing.assert_close(moved[:, :3], target)


def test_augment_labeled_clips_stay_whole(rng: Generator) -> None:
    classes = torch.arange(16)
    mel, target = classes.float().view(16, 1, 1).expand(16, 12, 100), torch.eye(16)
    settings = loop.TrainingSettings(
        roll=False, gain=0, band_mask=0, time_mask=0, mixup=0, splice=1.0
    )
    augmented, new_target = augment(mel, target, settings, rng, labeled=True)
    assert torch.equal(augmented, mel) and torch.equal(new_target, target)
    augmented, _ = augment(mel, target, settings, rng)
    assert augmented.shape[2] == settings.max_frames
    assert (augmented != mel[:, :, : settings.max_frames]).any()


def test_augment_mixes_targets_like_clips(rng: Generator) -> None:
    # A clip is 1 in the band of its class, so the clip shows how it was mixed.
    mel, target = torch.eye(16).unsqueeze(2).repeat(1, 1, 8), torch.eye(16)
    settings = loop.TrainingSettings(
        roll=False, gain=0, band_mask=0, time_mask=0, mixup=1.0, splice=0
    )
    augmented, mixed = augment(mel, target, settings, rng)
    assert torch.allclose(augmented[:, :, 0], mixed, atol=1e-6)
    assert bool((mixed.amax(dim=1) < 1).any())


def test_augment_stacked_bands_get_same_masks(rng: Generator) -> None:
    mel = random_clips(batch=32, n_mels=16, n_frames=20)
    augmented, _ = augment(
        torch.cat([mel, 2 * mel + 3], dim=1),
        torch.eye(32),
        loop.TrainingSettings(gain=0, max_frames=12),
        rng,
        bands=(16, 16),
    )
    assert torch.allclose(2 * augmented[:, :16] + 3, augmented[:, 16:], atol=1e-5)
