"""Statistics pooling against its definition."""

from __future__ import annotations

import math

import pytest
import torch

from frami.models.pooling import POOLING_EPSILON, statistics_pooling
from tests.reference import random_output


def test_statistics_pooling_gives_mean_and_deviation_over_time() -> None:
    hidden = random_output().hidden
    pooled = statistics_pooling(hidden)
    for clip in range(3):
        for channel in range(5):
            values = hidden[clip, channel].tolist()
            mean = sum(values) / len(values)
            var = sum((value - mean) ** 2 for value in values) / len(values)
            assert pooled[clip, channel].item() == pytest.approx(mean, abs=1e-6)
            assert pooled[clip, 5 + channel].item() == pytest.approx(
                math.sqrt(var + POOLING_EPSILON), abs=1e-6
            )


def test_statistics_pooling_of_constant_features_has_finite_gradient() -> None:
    hidden = torch.ones(2, 3, 4, requires_grad=True)
    torch.autograd.backward(statistics_pooling(hidden).sum())
    assert hidden.grad is not None and bool(hidden.grad.isfinite().all())
