"""A narrow plain CNN for microcontrollers.

It has fewer than 128 k parameters, and 30 M multiply-adds for a clip of one second.
"""

from __future__ import annotations

from torch import Tensor, nn

from frami.models.network import Network


class Encoder(nn.Sequential):
    """3x3 convolutions with batch norm; those with a stride of 2 halve time and frequency."""

    def __init__(self, width: int, depth: int) -> None:
        layers: list[nn.Module] = []
        inputs = 1
        first = [(width, 2), (2 * width, 2), (3 * width, 1), (4 * width, 2)]
        for outputs, stride in [*first, *[(4 * width, 1)] * depth]:
            layers += [
                nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            ]
            inputs = outputs
        super().__init__(*layers)

    def forward(self, mel: Tensor) -> Tensor:
        for layer in self:
            mel = layer(mel)
        return mel.mean(dim=2)


def build(
    bands: int, classes: int, *, width: int = 16, depth: int = 1, embedding: int = 96
) -> Network:
    """Return a small CNN; about 0.1 M parameters by default.

    Args:
        bands: Mel bands F; the network takes any number.
        classes: Classes K.
        width: Channels of the first layer; the last ones have four times as many.
        depth: Layers at the last width, after the one that widens to it.
        embedding: Size E of the layer before the classifier.
    """
    return Network(Encoder(width, depth), channels=4 * width, classes=classes, embedding=embedding)
