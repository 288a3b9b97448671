"""A convolution of what nearest-neighbour interpolation has doubled, as generators of images and spectrograms have it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class ResizeConv2d(nn.Conv2d):
    """``(B, C, H, W)`` to ``(B, C', 2H, 2W)``: each value is set out two by two, then comes a 3x3 convolution.

    What lies under the 3x3 kernel is of two by two values only, so one transposed convolution of a 4x4 kernel with stride 2
    gives the same with four ninths of the products, and what is doubled is never in memory. Weights and their start are those
    of the 3x3 convolution.

    Source: Odena et al., "Deconvolution and Checkerboard Artifacts", Distill 2016 (resize-convolution); Aitken et al.,
    "Checkerboard artifact free sub-pixel convolution", 2017, arXiv:1707.02937 (that it is a convolution of what is small).
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 3, 1, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        turned = self.weight.transpose(0, 1).flip(2, 3)
        down = F.pad(turned, (0, 0, 0, 1)) + F.pad(turned, (0, 0, 1, 0))
        return F.conv_transpose2d(
            x, F.pad(down, (0, 1)) + F.pad(down, (1, 0)), self.bias, stride=2, padding=1
        )
