"""Strided convolutions of narrow inputs, which oneDNN computes from uninitialized memory."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from frami.core.narrow import pad_narrow_inputs, restore_inputs
from frami.core.runtime import Runtime

LAYERS = [
    nn.Conv2d(1, 16, 3, stride=(1, 2), padding=1),
    nn.Conv2d(4, 8, 3, stride=2, padding=1),
    nn.Conv2d(16, 32, 5, stride=(2, 3), padding=2),
    nn.Conv2d(8, 8, 3, stride=2, padding=(1, 2), dilation=(1, 2), groups=8),
    nn.Conv2d(8, 16, 1, stride=4),
    nn.Conv1d(4, 8, 3, stride=2, padding=1),
]


def fill_free_memory_with_nan() -> None:
    """Let the next allocations of a process start with NaN, as those of a long run can."""
    for bits in range(10, 22, 2):
        blocks = [torch.full((1 << bits,), float("nan")) for _ in range(4)]
        del blocks


def outcome(layer: nn.Module, x: Tensor, runtime: Runtime) -> list[Tensor]:
    """Return output and gradients of a layer, as a network of one layer computes them."""
    network = nn.Sequential(copy.deepcopy(layer))
    x = x.clone().requires_grad_(True)
    with runtime.placed(network):
        fill_free_memory_with_nan()
        with runtime.autocast():
            output = network(x)
        weights = torch.linspace(-1, 1, output.numel()).view(output.shape)
        fill_free_memory_with_nan()
        (output.float() * weights).sum().backward()
        assert x.grad is not None and network[0].weight.grad is not None
        return [output.detach().float(), x.grad, network[0].weight.grad]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("layer", LAYERS, ids=str)
@pytest.mark.parametrize("n_frames", [1, 2, 3, 4, 7])
def test_strided_convolutions_of_few_frames_are_exact(
    n_frames: int, layer: nn.Conv1d | nn.Conv2d, precision: str
) -> None:
    shape = (4, layer.in_channels, *[24] * (len(layer.stride) - 1), n_frames)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    exact = outcome(copy.deepcopy(layer).double(), x.double(), Runtime("cpu", "float32", False))
    results = outcome(layer, x, Runtime("cpu", precision, channels_last=True))
    for result, expected in zip(results, exact, strict=True):
        assert result.shape == expected.shape
        error = (result.double() - expected).norm() / expected.norm()
        # Rounding to bfloat16 gives up to 0.013; memory that was never written gives NaN or more.
        assert float(error) < (1e-5 if precision == "float32" else 3e-2)


def test_padding_is_seen_by_no_hook_and_undone() -> None:
    network = nn.Sequential(nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.Conv2d(4, 4, 3, padding=1))
    x, seen = torch.randn(1, 2, 5, 1), []
    expected = network(x)
    network[0].register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0].shape))
    pad_narrow_inputs(network)
    other = copy.deepcopy(network)
    torch.testing.assert_close(network(x), expected)
    assert seen == [x.shape]
    assert vars(other[0])["_conv_forward"].__self__ is other[0]
    restore_inputs(network)
    assert "_conv_forward" not in vars(network[0])
    torch.testing.assert_close(network(x), expected)
