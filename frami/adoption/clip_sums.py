"""Sums over clips of what they contribute to the moments at a network's layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from frami.core.progress import ProgressCallback, silent
from frami.core.runtime import Runtime
from frami.data.clips import Clips, batches_by_length
from frami.inversion.hooks import FEW_BATCH_NORMS, batch_norms, channels_second
from frami.models.hooks import PreHook, pre_hooks
from frami.models.model import Model
from frami.models.network import frozen

BATCH = 32


@dataclass(frozen=True)
class LayerSums:
    """Sums over the clips of each group.

    Attributes:
        sizes: Channels of each layer, by name.
        pooled: Names of the layers whose input has no time axis.
        values: ``(G, 2V)`` in float64: the means of the V channels of all layers, then the mean
            squares.
    """

    sizes: dict[str, int]
    pooled: frozenset[str]
    values: Tensor

    def split(self, channels: Tensor) -> dict[str, Tensor]:
        """Return values of all channels ``(..., V)`` by layer name."""
        parts = torch.split(channels, list(self.sizes.values()), dim=-1)
        return dict(zip(self.sizes, parts, strict=True))


def choose_layers(network: nn.Module) -> list[str]:
    """Return the layers whose inputs are described.

    They are the batch norms. If a network has `FEW_BATCH_NORMS` or fewer, they are the network
    itself (``""``: its spectrograms) and all of its norm, convolution and linear layers.
    """
    norms = batch_norms(network)
    if len(norms) > FEW_BATCH_NORMS:
        return list(norms)
    return [
        name
        for name, layer in network.named_modules()
        if name in ("", *norms)
        or isinstance(layer, nn.Linear | _ConvNd)
        or ("Norm" in type(layer).__name__ and not any(layer.children()))
    ]


@torch.no_grad()
def sum_over_clips(
    model: Model,
    clips: Clips,
    layers: Sequence[str],
    runtime: Runtime,
    *,
    groups: Tensor,
    change: Callable[[Tensor], Tensor] = lambda rows: rows,
    report: ProgressCallback = silent,
) -> LayerSums:
    """Return the sums over the clips of each group.

    Layers that do not run, and those with a single channel, are left out.

    Args:
        model: The model.
        clips: The clips.
        layers: Names of the layers.
        runtime: Device and precision.
        groups: Group of each clip, ``(S,)``, from 0.
        change: Takes what clips contribute, ``(B, 2V)``, and returns what is added up.
        report: Called with the number of finished clips.
    """
    network, sizes, pooled = model.network, dict[str, int](), set[str]()
    values, done = torch.zeros(0), 0
    report(0)
    with runtime.placed(network), frozen(network):
        for mels, indices in batches_by_length(clips, BATCH):
            with _recorded_inputs(network, layers) as inputs:
                network(mels.to(runtime.device))
            if not sizes:
                sizes = {
                    name: inputs[name].shape[1]
                    for name in layers
                    if name in inputs and inputs[name].shape[1] > 1
                }
                pooled = {name for name in sizes if inputs[name].dim() == 2}
                width = 2 * sum(sizes.values())
                values = torch.zeros(int(groups.max()) + 1, width, dtype=torch.float64)
            rows = change(_contributions([inputs[name] for name in sizes]).cpu())
            values.index_add_(0, groups[torch.from_numpy(indices)], rows)
            done += len(indices)
            report(done)
    return LayerSums(sizes, frozenset(pooled), values)


def _contributions(inputs: Sequence[Tensor]) -> Tensor:
    """Return the mean and then the mean square of every channel of each clip, ``(B, 2V)``."""
    flat = [x.double().reshape(*x.shape[:2], -1) for x in inputs]
    means, squares = [x.mean(dim=2) for x in flat], [x.square().mean(dim=2) for x in flat]
    return torch.cat(means + squares, dim=1)


@contextmanager
def _recorded_inputs(network: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Record the inputs of some layers, their channels second, within the block."""
    inputs: dict[str, Tensor] = {}

    def make_hook(name: str) -> PreHook:
        def record(layer: nn.Module, given: tuple[Any, ...]) -> None:
            inputs[name] = channels_second(layer, given[0])

        return record

    with pre_hooks((network.get_submodule(name), make_hook(name)) for name in layers):
        yield inputs
