"""The optimization loop of inversion: render clips, compute their losses, update the parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from frami.core.errors import OperationError
from frami.inversion.hooks import ForwardPass, Moments

LossTerms = Mapping[str, Callable[[], Tensor]]
"""Unweighted losses by name. Each is computed only when it is called."""


@dataclass(frozen=True)
class RoundResult:
    """The clips of one round of inversion.

    Attributes:
        mel: The clips of the step with the lowest loss, ``(B, F, N)`` float32, detached. A method
            may append clips that were not optimized.
        losses: The unweighted losses of the optimized clips at that step, by name.
        step: Index of that step, from 0.
        target: What the clips are, in the format of the teacher's task, if the method does not
            follow the requested target; otherwise None.
        forward_pass: The teacher's forward pass of the last step, from which running statistics
            are updated; None for methods without one.
    """

    mel: Tensor
    losses: Mapping[str, float]
    step: int
    target: Tensor | None = None
    forward_pass: ForwardPass | None = None

    @property
    def batch_moments(self) -> dict[str, Moments]:
        """Batch-norm moments of the last step, by layer name; empty without a forward pass."""
        return {} if self.forward_pass is None else self.forward_pass.batch_norm.batch


def optimize_clips(
    render: Callable[[], Tensor],
    compute_losses: Callable[[Tensor], tuple[LossTerms, ForwardPass | None]],
    weights: Mapping[str, float],
    optimizer: torch.optim.Optimizer,
    steps: int,
    *,
    after_backward: Callable[[], None] = lambda: None,
) -> RoundResult:
    """Return the clips with the lowest weighted loss among ``steps`` gradient steps.

    Args:
        render: Returns the clips ``(B, F, N)``, differentiable in the optimizer's parameters.
        compute_losses: Takes the clips; returns the unweighted losses by name, and the teacher's
            forward pass.
        weights: Weight of each loss. A loss of weight 0 is not computed.
        optimizer: Updates the parameters of ``render``, and of the losses if they have any.
        steps: Number of steps, at least 1.
        after_backward: Called after the gradients are computed, before the optimizer uses them.

    Raises:
        OperationError: The loss is not finite.
    """
    best: RoundResult | None = None
    lowest = float("inf")
    forward_pass: ForwardPass | None = None
    for step in range(steps):
        mel = render()
        terms, forward_pass = compute_losses(mel)
        # The batch-norm loss of a teacher without batch norm is a zero on the CPU.
        losses = {name: term().to(mel.device) for name, term in terms.items() if weights[name]}
        if not losses:
            return RoundResult(mel.detach().clone(), {}, step, forward_pass=forward_pass)
        total = torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()
        if not bool(total.isfinite()):
            raise _not_finite(step)
        if total.item() < lowest:
            lowest = total.item()
            values = {name: loss.item() for name, loss in losses.items()}
            best = RoundResult(mel.detach().clone(), values, step)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(total)
        after_backward()
        optimizer.step()
    assert best is not None
    return replace(best, forward_pass=forward_pass)


def _not_finite(step: int) -> OperationError:
    way_out = "Lower the learning rates." if step else "Check that the teacher's logits are finite."
    return OperationError(f"The loss of inversion is not finite at step {step}. {way_out}")
