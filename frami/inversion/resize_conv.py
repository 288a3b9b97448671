"""Resize-convolution: nearest-neighbor upsampling by two, then a 3x3 convolution."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class ResizeConv2d(nn.Conv2d):
    """Upsample by two (nearest neighbor) and convolve: ``(B, C, H, W)`` to ``(B, C', 2H, 2W)``.

    After upsampling, a 3x3 kernel covers at most 2x2 different values. One transposed convolution
    with a 4x4 kernel and stride 2 therefore gives the same output with 4/9 of the multiplications,
    and the upsampled map is never stored. Weights and their initialization are those of the 3x3
    convolution.

    Source: Odena et al., "Deconvolution and Checkerboard Artifacts", Distill 2016
    (resize-convolution); Aitken et al., "Checkerboard artifact free sub-pixel convolution", 2017,
    arXiv:1707.02937 (its equivalence to a convolution of the small map).

    Attributes:
        fused: True computes the transposed convolution; False upsamples and then convolves, as
            published. The outputs are equal up to rounding.
    """

    fused = True

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 3, 1, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the upsampled and convolved map ``(B, C', 2H, 2W)``."""
        if not self.fused:
            doubled = F.interpolate(x, scale_factor=2.0, mode="nearest")
            return F.conv2d(doubled, self.weight, self.bias, padding=1)
        turned = self.weight.transpose(0, 1).flip(2, 3)
        down = F.pad(turned, (0, 0, 0, 1)) + F.pad(turned, (0, 0, 1, 0))
        kernel = F.pad(down, (0, 1)) + F.pad(down, (1, 0))
        return F.conv_transpose2d(x, kernel, self.bias, stride=2, padding=1)
