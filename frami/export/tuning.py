"""Train a student on with the rounding of 8-bit integers, on synthetic clips alone.

While it is trained, every layer rounds its weights, with one scale for each output channel, and its
input, with one range for each layer. The gradient passes through the rounding unchanged. The
student is trained to match its own logits before rounding, or those of its teacher.

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018, arXiv:1712.05877. Differs: the ranges of inputs are
measured once, before training. Batch norms keep their statistics and are not folded: a scale for
each output channel rounds weights alike before and after folding.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from frami.core.progress import ProgressCallback, silent
from frami.core.runtime import CPU, Runtime
from frami.data.clips import Clips
from frami.models.hooks import PreHook, pre_hooks
from frami.models.model import Model
from frami.models.network import frozen
from frami.training.loop import TrainingSettings, fit
from frami.training.recipes import find_recipe

STEPS, LEARNING_RATE = 400, 5e-4
LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)
Range = tuple[float, float]


def round_weight(weight: Tensor) -> Tensor:
    """Return weights ``(C, ...)`` as 8-bit integers give them, symmetric with one scale a channel.

    The gradient is that of the identity.
    """
    largest = weight.detach().flatten(1).abs().amax(dim=1).clamp_min(1e-12)
    scale = (largest / 127).view(-1, *[1] * (weight.dim() - 1))
    return weight + ((weight / scale).round() * scale - weight).detach()


def round_input(value: Tensor, limits: Range) -> Tensor:
    """Return values as 8-bit integers give them, with 0 and both limits among the 256 levels.

    Values beyond the limits are clipped and have no gradient. For others, it is that of the
    identity.
    """
    low, high = min(limits[0], 0.0), max(limits[1], 0.0)
    scale = max(high - low, 1e-12) / 255
    zero = round(-low / scale)
    clipped = value.clamp(low, high)
    rounded = ((clipped.detach() / scale).round() + zero).clamp(0, 255)
    return clipped + ((rounded - zero) * scale - clipped).detach()


class _Rounding(nn.Module):
    """`round_weight` as a parametrization."""

    def forward(self, weight: Tensor) -> Tensor:
        return round_weight(weight)


def input_ranges(network: nn.Module, batches: Sequence[np.ndarray]) -> dict[str, Range]:
    """Return the smallest and largest input of each layer over some batches ``(B, F, N)``."""
    ranges: dict[str, Range] = {}

    def make_hook(name: str) -> PreHook:
        def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            low, high = (float(limit) for limit in inputs[0].aminmax())
            before = ranges.get(name, (low, high))
            ranges[name] = min(low, before[0]), max(high, before[1])

        return note

    hooks = [(layer, make_hook(name)) for name, layer in _layers(network)]
    with pre_hooks(hooks), torch.inference_mode(), frozen(network):
        for batch in batches:
            network(torch.from_numpy(batch))
    return ranges


@contextmanager
def rounded(network: nn.Module, ranges: dict[str, Range]) -> Iterator[None]:
    """Let the layers of a network round weights and inputs within the block."""
    layers = _layers(network)

    def make_hook(name: str) -> PreHook:
        return lambda _, inputs: round_input(inputs[0], ranges[name])

    with pre_hooks((layer, make_hook(name)) for name, layer in layers), ExitStack() as stack:
        for _, layer in layers:
            parametrize.register_parametrization(layer, "weight", _Rounding(), unsafe=True)
            stack.callback(
                parametrize.remove_parametrizations, layer, "weight", leave_parametrized=False
            )
        yield


@contextmanager
def _fixed_statistics(network: nn.Module) -> Iterator[None]:
    """Let batch norms use their stored statistics within the block, also while training."""

    def to_eval(layer: nn.Module, _: tuple[Tensor, ...]) -> None:
        layer.training = False

    norms = [one for one in network.modules() if isinstance(one, nn.BatchNorm1d | nn.BatchNorm2d)]
    with pre_hooks((norm, to_eval) for norm in norms):
        yield


def _layers(network: nn.Module) -> list[tuple[str, nn.Module]]:
    return [(name, one) for name, one in network.named_modules() if isinstance(one, LAYERS)]


def tune(
    model: Model,
    clips: Clips,
    batches: Sequence[np.ndarray],
    runtime: Runtime,
    *,
    teacher: Model | None = None,
    steps: int = STEPS,
    seed: int = 0,
    report: ProgressCallback = silent,
) -> Model:
    """Return a copy of a student whose answers change less in 8-bit integers.

    Args:
        model: The student; it stays as it was.
        clips: The synthetic clips to train on.
        batches: Batches ``(B, F, N)`` that the ranges of inputs are taken from.
        runtime: The device to train on.
        teacher: Its logits are matched; None takes those of the student before rounding.
        steps: Number of training steps.
        seed: Seed of the order of the clips and their augmentation.
        report: Called with the number of finished steps.
    """
    tuned = replace(model, network=copy.deepcopy(model.network))
    with CPU.placed(tuned.network) as network:
        ranges = input_ranges(network, batches)
    settings = TrainingSettings(steps=steps, learning_rate=LEARNING_RATE)
    with rounded(tuned.network, ranges), _fixed_statistics(tuned.network):
        fit(
            tuned,
            clips,
            find_recipe("kd", labeled=False),
            settings,
            runtime,
            teacher=teacher or model,
            seed=seed,
            report=report,
        )
    tuned.network.cpu().eval().requires_grad_(False)
    return tuned
