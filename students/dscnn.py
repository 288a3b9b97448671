"""A depthwise-separable CNN with residual blocks.

Source: Zhang et al., "Hello Edge: Keyword Spotting on Microcontrollers", 2017, arXiv:1711.07128
(DS-CNN). Differs: blocks are residual if input and output have the same shape, and statistics
pooling replaces average pooling.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from frami.models.network import Network


class Block(nn.Module):
    """A depthwise 3x3 and a pointwise 1x1 convolution, ``(B, C, F, N) -> (B, C', F/s, N/s)``."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
        self.depthwise_norm = nn.BatchNorm2d(inputs)
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.pointwise_norm = nn.BatchNorm2d(outputs)
        self.residual = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.depthwise_norm(self.depthwise(x)))
        hidden = self.pointwise_norm(self.pointwise(hidden))
        return torch.relu(hidden + x if self.residual else hidden)


class Encoder(nn.Sequential):
    """Stem and three stages; the stem and stages 2 and 3 halve time and frequency."""

    def __init__(self, width: int, depth: int) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(1, width, 3, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        for inputs, outputs in ((width, width), (width, 2 * width), (2 * width, 4 * width)):
            layers += [Block(inputs, outputs, 1 if inputs == outputs else 2)]
            layers += [Block(outputs, outputs, 1) for _ in range(depth - 1)]
        super().__init__(*layers)

    def forward(self, mel: Tensor) -> Tensor:
        for layer in self:
            mel = layer(mel)
        return mel.mean(dim=2)


def build(
    bands: int, classes: int, *, width: int = 56, depth: int = 3, embedding: int = 96
) -> Network:
    """Return a depthwise-separable CNN; below 0.3 M parameters by default.

    Args:
        bands: Mel bands F; the network takes any number.
        classes: Classes K.
        width: Channels of the first of three stages; each further stage has twice as many.
        depth: Blocks per stage.
        embedding: Size E of the layer before the classifier.
    """
    return Network(Encoder(width, depth), channels=4 * width, classes=classes, embedding=embedding)
