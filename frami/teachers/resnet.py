"""A 2-d residual CNN; frequency is averaged before pooling.

Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016 (the basic block, here
applied to a spectrogram).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from frami.models.network import Network


class Block(nn.Module):
    """Two 3x3 convolutions with a shortcut, ``(B, C, F, N) -> (B, C', F/s, N/s)``."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.shortcut = (
            nn.Identity()
            if inputs == outputs and stride == 1
            else nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu_(self.first_norm(self.first(x)))
        return torch.relu_(self.second_norm(self.second(hidden)) + self.shortcut(x))


class Encoder(nn.Sequential):
    """Stem and three stages; the stem and stages 2 and 3 halve time and frequency."""

    def __init__(self, width: int, depth: int) -> None:
        stem = [
            nn.Conv2d(1, width, 3, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        stages: list[nn.Module] = []
        for stage in range(3):
            outputs = width << stage
            inputs = outputs if stage == 0 else outputs >> 1
            stages.append(Block(inputs, outputs, 1 if stage == 0 else 2))
            stages += [Block(outputs, outputs, 1) for _ in range(depth - 1)]
        super().__init__(*stem, *stages)

    def forward(self, mel: Tensor) -> Tensor:
        for layer in self:
            mel = layer(mel)
        return mel.mean(dim=2)


def build(
    bands: int, classes: int, *, width: int = 40, depth: int = 2, embedding: int = 128
) -> Network:
    """Return a residual network; 1.1 M parameters by default.

    Args:
        bands: Mel bands F; the network takes any number.
        classes: Classes K.
        width: Channels of the first of three stages; each further stage has twice as many.
        depth: Residual blocks per stage.
        embedding: Size E of the layer before the classifier.
    """
    return Network(Encoder(width, depth), channels=4 * width, classes=classes, embedding=embedding)
