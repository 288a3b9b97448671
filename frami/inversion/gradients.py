"""Check the gradient of a network's output with respect to clips, by finite differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frami.core import seeds
from frami.core.errors import OperationError
from frami.core.runtime import CPU, Runtime
from frami.core.seeds import Stream
from frami.models.network import Output

N_CLIPS = 8
# Change of every value of a clip, in standardized units. Kinks of the network disturb large steps,
# rounding disturbs small ones; an agreement at one step suffices.
STEPS = (3e-3, 1e-2, 1e-1, 1e-3)
# Kinks leave an error of about 0.1, a gradient that misses half of the values one of 0.5.
TOLERANCE = 0.25
LEAST_COSINE = 0.5  # of the gradients in bfloat16 and in float32; about 0.9 is usual
BATCH_TOLERANCE = 1e-3  # rounding depends on the size of the batch
SMALLEST_CHANGE = 30.0  # in units of the rounding error of the network's output

NO_GRADIENT = "no gradient reaches its input"
NOT_FINITE = "its logits or their gradient are not finite"
WRONG = "the gradient of its input is wrong"
ZERO = "the gradient of its input is 0 everywhere"
WAYS_OUT = {
    NO_GRADIENT: "Every step to the logits must be a differentiable torch function: no numpy, "
    "detach, no_grad or ONNX session. The method noise needs no gradient.",
    NOT_FINITE: "Check its weights, and the range of the spectrograms that it takes.",
    ZERO: "Return logits, not probabilities, and check the scale of the spectrograms.",
    WRONG: "Turn off dropout and other randomness; look for custom backward functions and in-place "
    "changes; try .contiguous() before the first layer, or another device.",
}


@dataclass(frozen=True)
class GradientCheck:
    """Directional derivatives, by the gradient and by finite differences.

    Attributes:
        gradient: Norm of the derivatives that the gradient gives; NaN if there is none.
        error: Norm of their distance from central differences, divided by the larger norm of the
            two; NaN if it was not computed. 0 is best, from about 1 on there is no relation.
        problem: What is wrong, in words that follow "because"; empty if the gradient is right.
        measurable: Whether the output changes by more than rounding. If not, the gradient could
            not be checked.
        detail: More about the problem.
    """

    gradient: float
    error: float
    problem: str = ""
    measurable: bool = True
    detail: str = ""

    @property
    def way_out(self) -> str:
        """What to do about the problem; empty without one."""
        return WAYS_OUT.get(self.problem, "")


def check_gradient(
    network: Callable[[Tensor], Output], mel: Tensor, rng: torch.Generator, runtime: Runtime = CPU
) -> GradientCheck:
    """Compare the gradient of a random sum of a network's logits with finite differences.

    Each clip gives one derivative, along a random sign for each value plus the unit vector of the
    clip's gradient. Values that the gradient misses show in the first part, permuted ones in the
    second. Both are computed in float32; usually the differences take two forward passes. If the
    runtime's precision is another one, the gradient in that precision must point in the same
    direction.

    Args:
        network: The network, frozen and on the runtime's device.
        mel: Clips ``(B, F, N)``, in standardized units.
        rng: Random numbers of the sum and of the direction.
        runtime: Device and precision of the gradient.
    """
    mel = mel.to(runtime.device)
    logits, inputs = _forward(network, mel)
    if not bool(logits.isfinite().all()):
        return _failed(NOT_FINITE)
    weights = torch.randn(logits.shape, generator=rng).to(mel.device)
    gradient = _gradient(logits, inputs, weights)
    if gradient is None:
        return _failed(NO_GRADIENT)
    if not bool(gradient.isfinite().all()):
        return _failed(NOT_FINITE)
    if not bool(gradient.any()):
        return _failed(ZERO)
    if runtime.precision != "float32":
        with runtime.autocast():
            rounded = _gradient(*_forward(network, mel), weights)
        if (
            rounded is None
            or F.cosine_similarity(rounded.flatten(), gradient.flatten(), 0) < LEAST_COSINE
        ):
            return _failed(WRONG, f"in {runtime.precision}")
    signs = (torch.randint(2, mel.shape, generator=rng) * 2.0 - 1).to(mel.device)
    norms = gradient.flatten(1).norm(dim=1).view(-1, 1, 1).clamp_min(torch.finfo().tiny)
    direction = signs + gradient / norms
    expected = (gradient.double() * direction.double()).flatten(1).sum(dim=1)
    return _compare(network, mel, direction, weights, expected)


def _forward(network: Callable[[Tensor], Output], mel: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits, and the clips that they can be derived by."""
    inputs = mel.clone().requires_grad_(True)
    with torch.enable_grad():
        return network(inputs).task_logits, inputs


def _gradient(logits: Tensor, inputs: Tensor, weights: Tensor) -> Tensor | None:
    if not logits.requires_grad:
        return None
    return torch.autograd.grad(logits, inputs, weights, allow_unused=True)[0]


def _failed(problem: str, detail: str = "") -> GradientCheck:
    return GradientCheck(torch.nan, torch.nan, problem, detail=detail)


@torch.no_grad()
def _compare(
    network: Callable[[Tensor], Output],
    mel: Tensor,
    direction: Tensor,
    weights: Tensor,
    expected: Tensor,
) -> GradientCheck:
    """Return the comparison at the first step at which the derivatives agree, else at the best."""
    size, smallest = float(expected.norm()), torch.inf
    for step in STEPS:
        above, below = (network(mel + side * direction).task_logits for side in (step, -step))
        rounding = float((above * weights).norm()) * torch.finfo(torch.float32).eps
        change = ((above.double() - below.double()) * weights).flatten(1).sum(dim=1)
        if max(float(change.norm()), 2 * step * size) < SMALLEST_CHANGE * rounding:
            continue
        error = _relative_error(change / (2 * step), expected)
        if error > TOLERANCE and batch_dependence(network, mel) > BATCH_TOLERANCE:
            # The change of one clip's logits then depends on the change of all clips.
            error = _relative_error(change.sum() / (2 * step), expected.sum())
        smallest = min(smallest, error)
        if error <= TOLERANCE:
            break
    if smallest == torch.inf:
        return GradientCheck(size, torch.nan, measurable=False)
    return GradientCheck(size, smallest, WRONG if smallest > TOLERANCE else "")


def _relative_error(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / torch.maximum(one.norm(), other.norm()))


@torch.no_grad()
def batch_dependence(network: Callable[[Tensor], Output], mel: Tensor) -> float:
    """Return by how much a clip's logits change with the other clips of its batch.

    It is the norm of the change of the first half of the clips without the second half, divided by
    the norm of the deviation of their logits from clip to clip.
    """
    half = len(mel) // 2
    together, alone = network(mel).task_logits[:half], network(mel[:half]).task_logits
    deviation = (together - together.mean(dim=0)).norm()
    return float((together - alone).norm() / deviation.clamp_min(torch.finfo().tiny))


def require_gradient(
    network: nn.Module, n_mels: int, n_frames: int, seed: int, runtime: Runtime
) -> None:
    """Raise an OperationError unless the gradient of a teacher's input is right.

    Args:
        network: The teacher's network, frozen and on the runtime's device.
        n_mels: Number of bands F.
        n_frames: Length of the clips to check with.
        seed: Seed of the clips and of the direction.
        runtime: Device and precision of the inversion.
    """
    rng = seeds.make_rng(seed, Stream.GRADIENT_CHECK)
    mel = torch.randn(N_CLIPS, n_mels, n_frames, generator=rng)
    check = check_gradient(network, mel, rng, runtime)
    if check.problem:
        numbers = f" (relative error {check.error:.2g})" if check.problem == WRONG else ""
        detail = f" ({check.detail})" if check.detail else ""
        raise OperationError(
            f"This teacher cannot be inverted, because {check.problem}{numbers}{detail}. "
            f"{check.way_out}"
        )
