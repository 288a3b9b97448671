"""The optimization loop of inversion, on a loss with a known minimum."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from frami.core.errors import OperationError
from frami.inversion.hooks import BatchNormStats, ForwardPass
from frami.inversion.loop import LossTerms, RoundResult, optimize_clips
from tests.reference import random_output


def optimize(
    rate: float, steps: int, weights: dict[str, float]
) -> tuple[RoundResult, list[ForwardPass]]:
    """Minimize ``x^2`` from 3; return the result and the forward pass of each step."""
    values, passes = torch.full((1, 1, 1), 3.0, requires_grad=True), []

    def compute_losses(mel: Tensor) -> tuple[LossTerms, ForwardPass]:
        passes.append(ForwardPass(random_output(), BatchNormStats()))
        return {"square": lambda: mel.square().sum(), "skipped": lambda: (mel / 0).sum()}, passes[
            -1
        ]

    optimizer = torch.optim.SGD([values], lr=rate)
    result = optimize_clips(lambda: values * 1, compute_losses, weights, optimizer, steps)
    return result, passes


def test_optimize_clips_keeps_the_best_step_and_the_last_forward_pass() -> None:
    # With this rate the value jumps from 3 to -6, 12, ...: the first step is the best.
    result, passes = optimize(1.5, 3, {"square": 2.0, "skipped": 0.0})
    assert result.step == 0 and result.losses == {"square": 9.0} and float(result.mel) == 3.0
    assert not result.mel.requires_grad
    assert len(passes) == 3 and result.forward_pass is passes[-1]
    result, _ = optimize(0.25, 3, {"square": 1.0, "skipped": 0.0})
    assert result.step == 2 and float(result.mel) == 0.75


def test_optimize_clips_without_a_weight_returns_the_first_clips() -> None:
    result, passes = optimize(0.25, 3, {"square": 0.0, "skipped": 0.0})
    assert result.losses == {} and float(result.mel) == 3.0
    assert result.forward_pass is passes[0] and len(passes) == 1


def test_optimize_clips_with_a_loss_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(OperationError, match="not finite at step 0"):
        optimize(0.25, 3, {"square": 1.0, "skipped": 1.0})
