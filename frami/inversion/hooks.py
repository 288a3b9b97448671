"""What is seen inside a network: hooks that live only within a ``with``. Nothing else in frami registers one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from frami.core.runtime import Runtime
from frami.models.network import Output

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


@dataclass(frozen=True)
class Moments:
    """Mean and variance (biased) of each channel, ``(C,)``, and whether they are of values pooled over time."""

    mean: Tensor
    var: Tensor
    pooled: bool = False


@dataclass
class BatchNormStats:
    """What came into the batch norms of a network, and what the network has stored of its training data.

    Attributes:
        batch: Moments of the last forward pass, by layer name, in float32 and with gradient.
        stored: The layer's running moments.
        clips: Mean of each channel over the inside of each clip, ``(B, C)``, where that was asked for.
    """

    batch: dict[str, Moments] = field(default_factory=dict)
    stored: dict[str, Moments] = field(default_factory=dict)
    per_clip: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class ForwardPass:
    """What a teacher said of a batch of clips, and what came into its batch norms on the way."""

    output: Output
    batch_norm: BatchNormStats


def forward_with_stats(
    teacher: nn.Module,
    mel: Tensor,
    runtime: Runtime,
    *,
    moments: bool = True,
    each_clip: bool = False,
) -> ForwardPass:
    """Return what a teacher says of clips ``(B, F, N)``, with what it saw (see `batch_norm_inputs`) where that is asked for."""
    looking = (
        record_batch_norm_inputs(teacher, each_clip=each_clip)
        if moments
        else nullcontext(BatchNormStats())
    )
    with looking as seen, runtime.autocast():
        said = teacher(mel)
    return ForwardPass(said, seen)


def batch_norms(network: nn.Module) -> dict[str, BatchNorm]:
    """Return the batch norms of a network that keep running moments, of any dimension, by name."""
    return {
        name: layer
        for name, layer in network.named_modules()
        if isinstance(layer, BatchNorm) and layer.running_mean is not None
    }


@contextmanager
def record_batch_norm_inputs(
    network: nn.Module, *, each_clip: bool = False
) -> Iterator[BatchNormStats]:
    """Within the block, every forward pass of the network leaves the moments of its batch norms' inputs in `Seen`.

    With ``each_clip``, the mean of each clip on its own too.
    """
    seen, handles = BatchNormStats(), []

    def hook(name: str):
        def look(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen.batch[name] = channel_moments(inputs[0])
            if each_clip:
                seen.per_clip[name] = (
                    inputs[0].flatten(2).float().mean(2)
                    if inputs[0].dim() > 2
                    else inputs[0].float()
                )

        return look

    for name, layer in batch_norms(network).items():
        assert layer.running_mean is not None and layer.running_var is not None
        seen.stored[name] = Moments(layer.running_mean, layer.running_var)
        handles.append(layer.register_forward_pre_hook(hook(name)))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


class _ChannelMoments(torch.autograd.Function):
    """Moments in one pass over memory each way; `torch.var_mean` takes eight times as long in channels-last bfloat16."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        count = x.numel() // x.shape[1]
        mean, var = x.new_zeros(2, x.shape[1], dtype=torch.float32)
        # With momentum 1 the running moments become the batch's own, in float32; the variance is the unbiased one.
        torch.ops.aten.batch_norm_update_stats(x, mean, var, 1.0)
        context.save_for_backward(x, mean)
        return mean, var * ((count - 1) / count)

    @staticmethod
    def backward(context: Any, mean_grad: Tensor, var_grad: Tensor) -> Tensor:
        x, mean = context.saved_tensors
        count = x.numel() // x.shape[1]
        shape = [1, -1] + [1] * (x.dim() - 2)
        slope = 2 * var_grad / count
        offset = mean_grad / count - slope * mean
        return torch.addcmul(offset.to(x.dtype).view(shape), x, slope.to(x.dtype).view(shape))


def channel_moments(x: Tensor) -> Moments:
    """Return the moments of ``(B, C, ...)`` over all but the channels, in float32."""
    if x.numel() // x.shape[1] > 1 and x.device.type in ("cpu", "cuda"):
        mean, var = _ChannelMoments.apply(x)
        return Moments(mean, var, pooled=x.dim() == 2)
    var, mean = torch.var_mean(
        x.float(), dim=[dim for dim in range(x.dim()) if dim != 1], correction=0
    )
    return Moments(mean, var, pooled=x.dim() == 2)


class RunningMoments:
    """The average of earlier rounds' moments, without gradient; empty before the first.

    Attributes:
        moments: By layer name.
        momentum: Part that the past keeps when a round is added, in [0, 1).
    """

    def __init__(self, momentum: float) -> None:
        self.momentum = momentum
        self.moments: dict[str, Moments] = {}

    def update(self, batch: dict[str, Moments]) -> None:
        """Take in the moments of a round."""
        for name, now in batch.items():
            mean, var = now.mean.detach(), now.var.detach()
            before = self.moments.get(name, Moments(mean, var))
            self.moments[name] = Moments(
                torch.lerp(mean, before.mean, self.momentum),
                torch.lerp(var, before.var, self.momentum),
            )

    def state_dict(self) -> dict[str, list[Tensor]]:
        """Return all that it takes to go on, as plain tensors."""
        return {name: [moments.mean, moments.var] for name, moments in self.moments.items()}

    def load_state_dict(self, state: dict[str, list[Tensor]], device: str) -> None:
        """Go on from a `state`."""
        self.moments = {
            name: Moments(mean.to(device), var.to(device)) for name, (mean, var) in state.items()
        }
