"""A time-delay network (x-vector): 1-d convolutions over time with growing dilation.

Source: Snyder et al., "X-vectors: Robust DNN Embeddings for Speaker Recognition", ICASSP 2018,
table 1. Differs: a first batch norm standardizes the bands, layers of equal width are residual, and
batch norm comes before the ReLU.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from frami.models.network import Network


class Layer(nn.Module):
    """A dilated convolution over time with batch norm, ``(B, C, N) -> (B, C', N/s)``.

    It is residual if input and output have the same shape.
    """

    def __init__(
        self, inputs: int, outputs: int, *, kernel: int, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__()
        padding = dilation * (kernel - 1) // 2
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride, padding, dilation, bias=False)
        self.norm = nn.BatchNorm1d(outputs)
        self.residual = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.norm(self.conv(x))
        return torch.relu(hidden + x if self.residual else hidden)


class Encoder(nn.Sequential):
    """The context of a frame grows from layer to layer; time is halved once."""

    def __init__(self, bands: int, width: int, depth: int) -> None:
        super().__init__(
            nn.BatchNorm1d(bands),
            Layer(bands, width, kernel=5),
            Layer(width, width, kernel=3, stride=2),
            *[Layer(width, width, kernel=3, dilation=2 + index) for index in range(depth)],
            Layer(width, width, kernel=1),
        )

    def forward(self, mel: Tensor) -> Tensor:
        hidden = mel.squeeze(1)
        for layer in self:
            hidden = layer(hidden)
        return hidden


def build(
    bands: int, classes: int, *, width: int = 256, depth: int = 3, embedding: int = 128
) -> Network:
    """Return a time-delay network; 1.0 M parameters by default.

    Args:
        bands: Mel bands F.
        classes: Classes K.
        width: Channels of every layer.
        depth: Number of dilated layers after the stride, with dilation 2, 3, ...
        embedding: Size E of the layer before the classifier.
    """
    return Network(
        Encoder(bands, width, depth), channels=width, classes=classes, embedding=embedding
    )
