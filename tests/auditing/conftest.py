"""Toy audits: noise with random labels is memorized, and nothing else can be learned from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from frami.auditing.pool import Pool, load_pool
from frami.auditing.sides import Side, Sides
from frami.core.runtime import Runtime
from frami.data.clips import Spectrograms
from frami.data.recordings import Recordings
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.training import loop
from frami.training.recipes import find_recipe
from frami.training.supervised import SupervisedSettings
from tests.conftest import LABELS, make_front_end

# Augmentation is off, so that a few steps memorize.
MEMORIZE: dict[str, Any] = {
    "steps": 60,
    "batch_size": 32,
    "learning_rate": 0.01,
    "roll": False,
    "gain": 0.0,
    "band_mask": 0.0,
    "time_mask": 0.0,
    "splice": 0.0,
    "mixup": 0.0,
    "weight_decay": 0.0,
}
FAST_TESTS = {"permutations": 1999, "bootstrap": 50, "crops": 1}


def noise_recordings(seed: int, number: int) -> Recordings:
    """Return clips of noise through a random filter, with random labels."""

    def read(index: int, rate: int) -> torch.Tensor:
        rng = np.random.default_rng((seed, index))
        noise = rng.standard_normal(rate // 4)
        sound = np.convolve(noise, rng.standard_normal(12), "same")
        return torch.from_numpy((0.1 * sound).astype(np.float32)).clamp(-1, 1)

    targets = tuple(np.random.default_rng(seed).permutation(number) % len(LABELS))
    return Recordings(tuple(f"{seed}/{n}" for n in range(number)), targets, read)


def noise_sides(members: int, others: int, groups: Sequence[Sequence[str]] | None = None) -> Sides:
    """Return members and others of noise; without groups, each clip is one."""
    names = groups or [[""] * members, [""] * others]
    sides = [
        Side(noise_recordings(seed, number), tuple(own), place)
        for seed, number, own, place in zip(
            (1, 2), (members, others), names, ("members/", "others/"), strict=True
        )
    ]
    return Sides(sides[0], sides[1], False, ())


def train_toy(clips: Spectrograms, seed: int = 0, **options: Any) -> Model:
    """Return a small model that memorizes clips."""
    torch.manual_seed(seed)
    model = Model.build(
        Architecture("resnet", {"width": 8, "depth": 1}),
        make_front_end(),
        LABELS,
        frame_range=(16, 16),
        provenance={"settings": {**MEMORIZE, **options}},
    )
    settings = SupervisedSettings(**{**MEMORIZE, **options})
    runtime = Runtime("cpu", "float32", channels_last=False)
    loop.fit(model, clips, find_recipe("labels"), settings, runtime, seed=seed)
    return model


@pytest.fixture(scope="package")
def pool() -> Pool:
    """100 members and 100 others."""
    from tests.conftest import make_teacher

    return load_pool(noise_sides(100, 100), make_teacher(make_front_end()))


@pytest.fixture(scope="package")
def memorizer(pool: Pool) -> Model:
    """A teacher that memorized the members."""
    from frami.auditing.signals import subset

    return train_toy(subset(pool.clips, np.flatnonzero(pool.is_member)))
