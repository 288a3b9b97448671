"""The one loop of inversion: a parametrisation draws clips, priors judge them, an optimizer moves the parametrisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from frami.core.errors import OperationError


@dataclass(frozen=True)
class RoundResult:
    """What a round of inversion gives.

    Attributes:
        mel: The clips of the step with the least loss, ``(B, F, N)`` float32, detached and cloned; a method may add others
            that were not optimised themselves.
        parts: The unweighted losses of the optimised ones at that step, by name.
        step: Which step it was, from 0.
        target: What they are of, as the task has it, of a method that does not make what it is asked for; None for others.
    """

    mel: Tensor
    losses: Mapping[str, float]
    step: int
    target: Tensor | None = None


def optimize_clips(
    rng: Callable[[], Tensor],
    judge: Callable[[Tensor], Mapping[str, Callable[[], Tensor]]],
    weights: Mapping[str, float],
    optimizer: torch.optim.Optimizer,
    steps: int,
    *,
    after_backward: Callable[[], None] = lambda: None,
) -> RoundResult:
    """Return the best clips of ``steps`` steps of descent.

    Args:
        draw: Gives the clips ``(B, F, N)``, with gradient to what the optimizer moves.
        judge: Gives, by name, what computes the unweighted losses of clips.
        weights: Weight of each loss; one of 0 is not computed.
        optimizer: Moves the parametrisation, and whatever the losses learn with it.
        steps: Number of steps, 1 or more.
        after_backward: Called when the gradients of a step are there, before the optimizer uses them.

    Raises:
        Failed: a loss is not a number.
    """
    best: RoundResult | None = None
    least = float("inf")
    for step in range(steps):
        mel = rng()
        # A teacher without batch norm gives a zero on the CPU.
        parts = {name: part().to(mel.device) for name, part in judge(mel).items() if weights[name]}
        if not parts:
            return RoundResult(mel.detach().clone(), {}, step)
        total = torch.stack([weights[name] * part for name, part in parts.items()]).sum()
        if not bool(total.isfinite()):
            way_out = (
                "lower the learning rates"
                if step
                else "ask the teacher whether its logits are finite"
            )
            raise OperationError(
                f"The loss of inversion is not a number at step {step}; {way_out}."
            )
        if total.item() < least:
            least = total.item()
            best = RoundResult(
                mel.detach().clone(), {name: part.item() for name, part in parts.items()}, step
            )
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        after_backward()
        optimizer.step()
    assert best is not None
    return best
