"""Augmentation of clips and their targets."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from frami.audio.frontend import FrontEnd
from frami.data.clips import event_timeline
from frami.models import tasks
from frami.training import loop
from frami.training.augment import augment

OFF: dict[str, Any] = {
    "roll": False,
    "gain": 0.0,
    "band_mask": 0.0,
    "time_mask": 0.0,
    "splice": 0.0,
    "mixup": 0.0,
}


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


def test_augment_stacked_bands_get_same_masks() -> None:
    mel = torch.randn(4, 10, 20, generator=torch.Generator().manual_seed(0))
    settings = loop.TrainingSettings(**OFF | {"band_mask": 0.9, "time_mask": 0.9})
    rng = torch.Generator().manual_seed(1)
    masked, _ = augment(
        torch.cat([mel, mel], dim=1), torch.zeros(4, 2), settings, rng, bands=[10, 10]
    )
    assert torch.equal(masked[:, :10], masked[:, 10:]) and not torch.equal(masked[:, :10], mel)


def test_augment_labeled_clips_are_not_cropped() -> None:
    mel, target = torch.randn(4, 6, 40), torch.zeros(4, 2)
    settings = loop.TrainingSettings(**OFF | {"max_frames": 16})
    rng = torch.Generator().manual_seed(0)
    assert augment(mel, target, settings, rng, labeled=True)[0].shape[2] == 40
    assert augment(mel, target, settings, rng, labeled=False)[0].shape[2] == 16
