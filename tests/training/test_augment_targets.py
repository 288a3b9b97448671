"""The augmentation of training batches and their targets."""

from __future__ import annotations

import pytest
import torch
from torch import Generator

from frami.training import augment, loop
from tests.reference import random_clips


@pytest.fixture
def rng() -> Generator:
    return Generator().manual_seed(1)


def test_augment_of_labeled_clips_keeps_whole_clips(rng: Generator) -> None:
    classes = torch.arange(16)
    mel, target = classes.float().view(16, 1, 1).expand(16, 12, 100), torch.eye(16)
    settings = loop.TrainingSettings(
        roll=False, gain=0, band_mask=0, time_mask=0, mixup=0, splice=1.0
    )
    augmented, new_target = augment.augment(mel, target, settings, rng, labelled=True)
    assert torch.equal(augmented, mel) and torch.equal(new_target, target)
    augmented, _ = augment.augment(mel, target, settings, rng)
    assert augmented.shape[2] == settings.max_frames
    assert (augmented != mel[:, :, : settings.max_frames]).any()


def test_augment_mixes_targets_as_their_clips(rng: Generator) -> None:
    # A clip is 1 in the band of its class, so the clip shows how it was mixed.
    mel, target = torch.eye(16).unsqueeze(2).repeat(1, 1, 8), torch.eye(16)
    settings = loop.TrainingSettings(
        roll=False, gain=0, band_mask=0, time_mask=0, mixup=1.0, splice=0
    )
    augmented, mixed = augment.augment(mel, target, settings, rng)
    assert torch.allclose(augmented[:, :, 0], mixed, atol=1e-6)
    assert bool((mixed.amax(dim=1) < 1).any())


def test_augment_treats_the_bands_of_several_front_ends_alike(rng: Generator) -> None:
    mel = random_clips(batch=32, n_mels=16, n_frames=20)
    augmented, _ = augment.augment(
        torch.cat([mel, 2 * mel + 3], dim=1),
        torch.eye(32),
        loop.TrainingSettings(gain=0, max_frames=12),
        rng,
        bands=(16, 16),
    )
    assert torch.allclose(2 * augmented[:, :16] + 3, augmented[:, 16:], atol=1e-5)
