"""The optimization loop of inversion: render clips, compute their losses, update the parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from frami.core.errors import OperationError
from frami.inversion.hooks import ForwardPass, Moments

SMALLER_STEP = 0.1  # factor of the learning rate after a step back

LossTerms = Mapping[str, Callable[[], Tensor]]
"""Unweighted losses by name. Each is computed only when it is called."""


@dataclass(frozen=True)
class Setback:
    """A step whose loss was not finite.

    Attributes:
        step: Index of the step in its round, from 0.
        losses: Names of the losses that are not finite; empty if only the update was wrong.
        mel: The clips of that step, ``(B, F, N)``.
    """

    step: int
    losses: tuple[str, ...]
    mel: Tensor

    def __str__(self) -> str:
        """Return what happened, as a sentence without its end."""
        if not self.losses:
            return f"The update after step {self.step} of the inversion is not finite"
        verb = "is" if len(self.losses) == 1 else "are"
        names = ", ".join(self.losses).replace("_", " ")
        return f"The loss {names} {verb} not finite at step {self.step} of the inversion"


class NotFiniteError(OperationError):
    """A setback that a round cannot recover from."""

    def __init__(self, setback: Setback) -> None:
        super().__init__(f"{setback}. Lower the learning rates.")
        self.setback = setback


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
        setback: What went wrong in a round that went on from its last good state.
    """

    mel: Tensor
    losses: Mapping[str, float]
    step: int
    target: Tensor | None = None
    forward_pass: ForwardPass | None = None
    setback: Setback | None = None

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

    If the loss is not finite, the parameters of the step before are restored once, and the work
    goes on with a smaller learning rate and without the optimizer's momentum.

    Raises:
        NotFiniteError: The loss is not finite in the first step, or for a second time.
    """
    best: RoundResult | None = None
    lowest = float("inf")
    forward_pass: ForwardPass | None = None
    setback: Setback | None = None
    good = _GoodState(optimizer)
    for step in range(steps):
        mel = render()
        terms, forward_pass = compute_losses(mel)
        # The batch-norm loss of a teacher without batch norm is a zero on the CPU.
        losses = {name: term().to(mel.device) for name, term in terms.items() if weights[name]}
        if not losses:
            return RoundResult(mel.detach().clone(), {}, step, forward_pass=forward_pass)
        total = torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()
        if not bool(total.isfinite()):
            wrong = tuple(name for name, loss in losses.items() if not bool(loss.isfinite()))
            failed = Setback(step, wrong or tuple(losses), mel.detach())
            if setback is not None or best is None:
                raise NotFiniteError(failed)
            setback = failed
            good.restore()
            continue
        if total.item() < lowest:
            lowest = total.item()
            values = {name: loss.item() for name, loss in losses.items()}
            best = RoundResult(mel.detach().clone(), values, step)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(total)
        after_backward()
        good.keep()
        optimizer.step()
    assert best is not None
    if not good.is_finite():  # the next round may go on with these parameters
        setback = setback or Setback(steps - 1, (), best.mel)
        good.restore()
    return replace(best, forward_pass=forward_pass, setback=setback)


class _GoodState:
    """The parameters of an optimizer before its last step."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        self.parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.kept: list[Tensor] = []

    @torch.no_grad()
    def keep(self) -> None:
        """Keep a copy of the parameters."""
        if not self.kept:
            self.kept = [p.detach().clone() for p in self.parameters]
        else:
            torch._foreach_copy_(self.kept, self.parameters)

    @torch.no_grad()
    def restore(self) -> None:
        """Restore the copy; forget the optimizer's momentum, and lower its learning rate."""
        torch._foreach_copy_(self.parameters, self.kept)
        self.optimizer.state.clear()
        for group in self.optimizer.param_groups:
            group["lr"] *= SMALLER_STEP

    def is_finite(self) -> bool:
        """Return whether all parameters are finite."""
        return bool(torch.stack([p.isfinite().all() for p in self.parameters]).all())
