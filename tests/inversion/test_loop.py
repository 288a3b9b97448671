"""The optimization loop of inversion, on a loss with a known minimum."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from frami.inversion.hooks import BatchNormStats, ForwardPass
from frami.inversion.loop import LossTerms, NotFiniteError, RoundResult, optimize_clips
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
    message = "The loss skipped is not finite at step 0 of the inversion. Lower the learning rates."
    with pytest.raises(NotFiniteError, match=message) as got:
        optimize(0.25, 3, {"square": 1.0, "skipped": 1.0})
    assert got.value.setback.losses == ("skipped",) and float(got.value.setback.mel) == 3.0


def optimize_with_a_pole(
    poles: set[int], steps: int, rate: float = 0.25
) -> tuple[RoundResult, list[float], Tensor]:
    """Minimize ``x^2`` from 8 with momentum; some steps have a loss that is not finite."""
    values, seen = torch.full((1, 1, 1), 8.0, requires_grad=True), list[float]()

    def compute_losses(mel: Tensor) -> tuple[LossTerms, None]:
        seen.append(float(mel.detach()))
        factor = torch.inf if len(seen) - 1 in poles else 1.0
        return {"square": lambda: mel.square().sum(), "pole": lambda: factor * mel.sum()}, None

    optimizer = torch.optim.SGD([values], lr=rate, momentum=0.5)
    weights = {"square": 1.0, "pole": 1.0}
    return (
        optimize_clips(lambda: values * 1, compute_losses, weights, optimizer, steps),
        seen,
        values,
    )


def test_optimize_clips_steps_back_once_and_goes_on_with_a_smaller_step() -> None:
    _, usual, _ = optimize_with_a_pole(set(), 5)
    result, seen, values = optimize_with_a_pole({2}, 5)
    # Step 3 repeats the clips of step 1, from which the last update was made.
    assert seen[:3] == usual[:3] and seen[3] == seen[1]
    slope = 2 * seen[3] + 1
    assert seen[4] == pytest.approx(seen[3] - 0.025 * slope)
    assert result.setback is not None and result.setback.step == 2
    assert result.setback.losses == ("pole",) and bool(values.isfinite().all())
    with pytest.raises(NotFiniteError, match="pole is not finite at step 4"):
        optimize_with_a_pole({2, 4}, 6)


def test_optimize_clips_leaves_finite_parameters_after_the_last_step() -> None:
    result, _, values = optimize_with_a_pole(set(), 1, rate=3e38)
    assert result.setback is not None and result.setback.losses == ()
    assert "The update after step 0" in str(result.setback)
    assert float(values.detach()) == 8.0
