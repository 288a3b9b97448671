"""The random sounds that clips start at: the teacher chooses those that fit the targets."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import permutations
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from torch import Tensor

from frami.core.runtime import Runtime
from frami.inversion.random_sounds import choose_sounds
from frami.models.model import Model

TARGETS = {
    "single-label": torch.tensor([2, 0, 1]),
    "multi-label": torch.tensor([[0.0, 1, 1], [1, 0, 0], [0, 0, 1]]),
    "sound-events": torch.tensor([[0.0, 1, 1], [1, 0, 0], [0, 0, 1]]).unsqueeze(2)
    * torch.tensor([0.0, 1, 0]),
}


def log_likelihood(task: str, logits: Tensor, target: Tensor) -> float:
    """Return the log-probability of a class, or of tags, by the formula."""
    if task == "single-label":
        total = sum(math.exp(float(z)) for z in logits)
        return max(-8.0, math.log(math.exp(float(logits[int(target)])) / total))
    tags = target if target.dim() == 1 else target.amax(dim=1)
    present = [1 / (1 + math.exp(-float(z))) for z in logits]
    pairs = zip(tags.tolist(), present, strict=True)
    return sum(math.log(p if tag else 1 - p) for tag, p in pairs)


@pytest.mark.parametrize("task", TARGETS)
def test_chosen_sounds_are_the_best_assignment(task: str, runtime: Runtime) -> None:
    logits = 3 * torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    teacher = cast(Model, SimpleNamespace(network=lambda mel: SimpleNamespace(logits=logits)))
    target, sounds = TARGETS[task], torch.arange(5).view(5, 1, 1)

    def total(order: Iterable[int]) -> float:
        pairs = zip(order, target, strict=True)
        return sum(log_likelihood(task, logits[i], one) for i, one in pairs)

    chosen = choose_sounds(teacher, sounds, target, runtime)
    assert chosen.flatten().tolist() == list(max(permutations(range(5), 3), key=total))
