"""Strided convolutions of narrow inputs on a CPU, which oneDNN computes from uninitialized memory.

With torch 2.13, in bfloat16, and in float32 with the channels-last layout, the output or the
gradient of the weights is wrong by chance, up to NaN, if an input has no more frames than the
stride of the layer. Zeros after its end do not change the output, but for what is cut off again.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType

import torch.nn.functional as F
from torch import Tensor, nn

Convolution = nn.Conv1d | nn.Conv2d


def pad_narrow_inputs(network: nn.Module) -> None:
    """Let each strided convolution of a network pad inputs that are narrower than two strides."""
    for layer in network.modules():
        if isinstance(layer, Convolution) and max(layer.stride) > 1:
            # A method of the layer: hooks still see its own input, and a copy has its own.
            vars(layer)["_conv_forward"] = MethodType(_forward_padded, layer)


def restore_inputs(network: nn.Module) -> None:
    """Undo `pad_narrow_inputs`."""
    for layer in network.modules():
        vars(layer).pop("_conv_forward", None)


def _forward_padded(layer: Convolution, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    forward: Callable[..., Tensor] = type(layer)._conv_forward
    sizes = x.shape[-len(layer.stride) :]
    missing = [
        max(0, 2 * stride - size) if stride > 1 else 0
        for stride, size in zip(layer.stride, sizes, strict=True)
    ]
    if not any(missing) or layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        return forward(layer, x, weight, bias)
    ends = [amount for count in reversed(missing) for amount in (0, count)]
    output = forward(layer, F.pad(x, ends), weight, bias)
    for axis, size in enumerate(sizes):
        reach = (
            size + 2 * layer.padding[axis] - layer.dilation[axis] * (layer.kernel_size[axis] - 1)
        )
        output = output.narrow(axis - len(sizes), 0, (reach - 1) // layer.stride[axis] + 1)
    return output
