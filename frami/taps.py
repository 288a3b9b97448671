"""What is seen inside a network: hooks that live only within a ``with``. Nothing else in frami registers one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class Moments:
    """Mean and variance (biased) of each channel, ``(C,)``."""

    mean: Tensor
    var: Tensor


@dataclass
class Seen:
    """What came into the batch norms of a network, and what the network has stored of its training data.

    Attributes:
        batch: Moments of the last forward pass, by layer name, in float32 and with gradient.
        stored: The layer's running moments.
    """

    batch: dict[str, Moments] = field(default_factory=dict)
    stored: dict[str, Moments] = field(default_factory=dict)


def batch_norms(network: nn.Module) -> dict[str, nn.Module]:
    """Return the batch norms of a network that keep running moments, of any dimension, by name."""
    return {
        name: layer
        for name, layer in network.named_modules()
        if isinstance(layer, BATCH_NORMS) and layer.running_mean is not None
    }


@contextmanager
def batch_norm_inputs(network: nn.Module) -> Iterator[Seen]:
    """Within the block, every forward pass of the network leaves the moments of its batch norms' inputs in `Seen`."""
    seen, handles = Seen(), []

    def hook(name: str):
        def look(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen.batch[name] = moments(inputs[0])

        return look

    for name, layer in batch_norms(network).items():
        seen.stored[name] = Moments(layer.running_mean, layer.running_var)
        handles.append(layer.register_forward_pre_hook(hook(name)))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def moments(x: Tensor) -> Moments:
    """Return the moments of ``(B, C, ...)`` over all but the channels, in float32."""
    others = [dim for dim in range(x.dim()) if dim != 1]
    var, mean = torch.var_mean(x.float(), dim=others, correction=0)
    return Moments(mean, var)
