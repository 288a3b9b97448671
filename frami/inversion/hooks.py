"""Record the inputs of a network's batch norms: their moments, and those that the layers keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.instancenorm import _InstanceNorm

from frami.core.errors import OperationError
from frami.core.runtime import Runtime
from frami.core.text import count
from frami.models.hooks import PreHook, pre_hooks
from frami.models.network import Output

FEW_BATCH_NORMS = 3  # up to this number, batch-norm moments alone are a weak prior


@dataclass(frozen=True)
class Moments:
    """Mean and variance of each channel of a layer's input.

    Attributes:
        mean: ``(C,)``.
        var: ``(C,)``, biased.
        pooled: Whether the input is already pooled over time.
    """

    mean: Tensor
    var: Tensor
    pooled: bool = False


@dataclass
class BatchNormStats:
    """Statistics of the inputs of a network's batch norms, and those of its training data.

    Attributes:
        batch: Moments of the batch, by layer name, in float32 and with gradient.
        stored: The running moments of the layers, by layer name.
        per_clip: Channel means of each clip, ``(B, C)``, by layer name; empty unless recorded.
    """

    batch: dict[str, Moments] = field(default_factory=dict)
    stored: dict[str, Moments] = field(default_factory=dict)
    per_clip: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class ForwardPass:
    """A teacher's output for a batch of clips, and the statistics of its batch norms."""

    output: Output
    batch_norm: BatchNormStats


def forward_with_stats(
    teacher: nn.Module,
    mel: Tensor,
    runtime: Runtime,
    *,
    moments: bool = True,
    each_clip: bool = False,
    extra: Mapping[str, Moments] = MappingProxyType({}),
) -> ForwardPass:
    """Return a teacher's output for clips ``(B, F, N)`` and the statistics of its batch norms.

    Args:
        teacher: The network.
        mel: The clips.
        runtime: Precision of the forward pass.
        moments: Whether to record statistics; False leaves them empty.
        each_clip: Whether to record the channel means of each clip as well.
        extra: Moments of the training data at the inputs of further layers, by layer name. They
            replace the running moments of a batch norm.
    """
    recording = (
        record_batch_norm_inputs(teacher, each_clip=each_clip, extra=extra)
        if moments
        else nullcontext(BatchNormStats())
    )
    with recording as stats, runtime.autocast():
        output = teacher(mel)
    return ForwardPass(output, stats)


def batch_norms(network: nn.Module) -> dict[str, nn.Module]:
    """Return the batch norms of a network that keep running moments, by name.

    They are recognized by their running moments, so that synchronized, frozen and derived batch
    norms count too. Instance norms do not: their variance is that within a clip. Neither do layers
    of TorchScript, whose inputs no hook can record.
    """
    return {
        name: layer
        for name, layer in network.named_modules()
        if isinstance(getattr(layer, "running_mean", None), Tensor)
        and isinstance(getattr(layer, "running_var", None), Tensor)
        and not isinstance(layer, _InstanceNorm | torch.jit.ScriptModule)
    }


def constant_channels(network: nn.Module) -> list[str]:
    """Return the names of batch norms with channels of variance 0, constant in training."""
    return [
        name
        for name, layer in network.named_modules()
        if isinstance(var := getattr(layer, "running_var", None), Tensor)
        and not isinstance(layer, torch.jit.ScriptModule)
        and not bool(var.all())
    ]


def never_updated(layer: nn.Module) -> bool:
    """Return whether a batch norm's running moments are the initial ones: mean 0, variance 1."""
    stored = stored_moments(layer)
    return not bool(stored.mean.any()) and bool((stored.var == 1).all())


def untrained_norms(network: nn.Module) -> list[str]:
    """Return the names of the batch norms that training never updated."""
    return [name for name, layer in batch_norms(network).items() if never_updated(layer)]


def stored_moments(layer: nn.Module) -> Moments:
    """Return the running moments of a batch norm."""
    return Moments(cast(Tensor, layer.running_mean), cast(Tensor, layer.running_var))


@contextmanager
def record_batch_norm_inputs(
    network: nn.Module,
    *,
    each_clip: bool = False,
    extra: Mapping[str, Moments] = MappingProxyType({}),
) -> Iterator[BatchNormStats]:
    """Record the statistics of the batch norms' inputs in every forward pass inside the block.

    With ``each_clip``, the channel means of each clip are recorded as well. The inputs of the
    layers named in ``extra`` are recorded too, and compared with the moments given there.
    """
    stats = BatchNormStats()

    def make_hook(name: str) -> PreHook:
        def record(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x = channels_second(layer, inputs[0])
            stats.batch[name] = channel_moments(x)
            if name in extra and len(extra[name].mean) != x.shape[1]:
                raise OperationError(
                    f"The file of moments has {count(len(extra[name].mean), 'channel')} for the "
                    f"layer {name!r}, which has {x.shape[1]}. Compute it again."
                )
            if each_clip:
                stats.per_clip[name] = x.flatten(2).float().mean(2) if x.dim() > 2 else x.float()

        return record

    layers = batch_norms(network) | {name: network.get_submodule(name) for name in extra}
    for name, layer in layers.items():
        stats.stored[name] = extra[name] if name in extra else stored_moments(layer)
    with pre_hooks([(layer, make_hook(name)) for name, layer in layers.items()]):
        yield stats


def channels_second(layer: nn.Module, x: Tensor) -> Tensor:
    """Return the input of a layer with its channels on the second axis, ``(B, C, ...)``."""
    last = isinstance(layer, nn.Linear | nn.LayerNorm | nn.RMSNorm) and x.dim() > 2
    return x.movedim(-1, 1) if last else x


class _ChannelMoments(torch.autograd.Function):
    """Compute channel moments with one pass over memory forward, and one backward.

    `torch.var_mean` takes eight times as long in channels-last bfloat16.
    """

    @staticmethod
    def forward(context: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        count = x.numel() // x.shape[1]
        mean, var = x.new_zeros(2, x.shape[1], dtype=torch.float32)
        # With momentum 1 the running moments become the batch's own, in float32; the variance is
        # the unbiased one.
        torch.ops.aten.batch_norm_update_stats(x, mean, var, 1.0)
        context.save_for_backward(x, mean)
        return mean, var * ((count - 1) / count)

    @staticmethod
    def backward(context: Any, mean_grad: Tensor, var_grad: Tensor) -> Tensor:
        x, mean = context.saved_tensors
        count = x.numel() // x.shape[1]
        # mean_grad / count + (x - mean) * 2 var_grad / count, computed in float32 in one pass:
        # where the mean is many standard deviations, bfloat16 would round the difference away.
        slope, offset, one = 2 * var_grad / count, mean_grad / count, torch.ones_like(mean)
        return torch.batch_norm(x, slope, offset, mean, one, False, 0.0, 0.0, False)


def channel_moments(x: Tensor) -> Moments:
    """Return the moments of each channel of ``(B, C, ...)``, in float32."""
    if x.numel() // x.shape[1] > 1 and x.device.type in ("cpu", "cuda"):
        mean, var = _ChannelMoments.apply(x)  # type: ignore[no-untyped-call]
    else:
        dims = [dim for dim in range(x.dim()) if dim != 1]
        var, mean = torch.var_mean(x.float(), dim=dims, correction=0)
    return Moments(mean, var, pooled=x.dim() == 2)


class RunningMoments:
    """The exponential moving average of earlier rounds' moments, without gradient.

    Attributes:
        moments: The average, by layer name; empty before the first round.
        momentum: Weight of the past when a round is added, in [0, 1).
    """

    def __init__(self, momentum: float) -> None:
        self.momentum = momentum
        self.moments: dict[str, Moments] = {}

    def update(self, batch: dict[str, Moments]) -> None:
        """Add the moments of a round."""
        for name, latest in batch.items():
            mean, var = latest.mean.detach(), latest.var.detach()
            average = self.moments.get(name, Moments(mean, var))
            self.moments[name] = Moments(
                torch.lerp(mean, average.mean, self.momentum),
                torch.lerp(var, average.var, self.momentum),
            )

    def state_dict(self) -> dict[str, list[Tensor]]:
        """Return the average as lists of mean and variance, by layer name."""
        return {name: [moments.mean, moments.var] for name, moments in self.moments.items()}

    def load_state_dict(self, state: dict[str, list[Tensor]], device: str) -> None:
        """Restore what `state_dict` returned."""
        self.moments = {
            name: Moments(mean.to(device), var.to(device)) for name, (mean, var) in state.items()
        }
