"""Toy audits: noise with random labels is memorized, and nothing else can be learned from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from frami.auditing.pool import Pool, load_pool
from frami.auditing.sides import Side, Sides
from frami.auditing.signals import subset
from frami.core.runtime import CPU
from frami.data.clips import Spectrograms
from frami.data.recordings import Recordings
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.training import loop
from frami.training.recipes import find_recipe
from frami.training.supervised import SupervisedSettings
from tests.conftest import LABELS, make_front_end, make_teacher

RATE = 8000
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


def noise(seed: int, index: int) -> np.ndarray:
    """Return 0.25 s of noise through a random filter."""
    rng = np.random.default_rng((seed, index))
    sound = 0.1 * np.convolve(rng.standard_normal(RATE // 4), rng.standard_normal(12), "same")
    return np.clip(sound, -1, 1).astype(np.float32)


def random_labels(seed: int, number: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(number) % len(LABELS)


def noise_side(seed: int, number: int, groups: Sequence[str] = (), place: str = "a/") -> Side:
    """Return clips of noise with random labels."""
    names = tuple(f"{n}.wav" for n in range(number))
    targets = tuple(random_labels(seed, number).tolist())
    recordings = Recordings(
        names, targets, lambda index, rate: torch.from_numpy(noise(seed, index))
    )
    return Side(recordings, tuple(groups) or ("",) * number, place)


def noise_pool(seed: int, members: int, others: int) -> Pool:
    """Return a pool of noise; every clip is its own group."""
    sides = Sides(noise_side(seed, members), noise_side(seed + 1, others), False, ())
    return load_pool(sides, make_teacher(make_front_end()))


def write_noise(folder: Path, seed: int, number: int) -> Path:
    """Write clips of noise into one folder for each class."""
    for index, target in enumerate(random_labels(seed, number).tolist()):
        path = folder / LABELS[target] / f"{index}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, noise(seed, index), RATE, subtype="FLOAT")
    return folder


def train_toy(clips: Spectrograms, seed: int = 0, width: int = 8, **options: Any) -> Model:
    """Return a small model that memorizes clips."""
    settings = {**MEMORIZE, **options}
    torch.manual_seed(seed)
    model = Model.build(
        Architecture("resnet", {"width": width, "depth": 1}),
        make_front_end(),
        LABELS,
        frame_range=(16, 16),
        provenance={"settings": settings},
    )
    recipe = find_recipe("labels")
    return loop.fit(model, clips, recipe, SupervisedSettings(**settings), CPU, seed=seed)


@pytest.fixture(scope="package")
def pool() -> Pool:
    """100 members and 100 others."""
    return noise_pool(1, 100, 100)


@pytest.fixture(scope="package")
def memorizer(pool: Pool) -> Model:
    """A teacher that memorized the members."""
    return train_toy(subset(pool.clips, np.flatnonzero(pool.is_member)))


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Any]:
    """The clips of the pool as files."""
    return {
        "members": write_noise(tmp_path / "members", 1, 100),
        "others": write_noise(tmp_path / "others", 2, 100),
    }
