"""A convolutional recurrent network: gated convolutions, then a recurrent layer that hears a clip both ways.

Source: the baseline of DCASE 2023 task 4 (seven gated convolutions and two bidirectional GRUs of 128; 1.1 M
parameters). Differs: what convolutions give is gated as ``h sigmoid(W h)``, theirs as ``W h sigmoid(h)``; for the task
``frames`` its pooling is that of `frami.network.FrameHead`, for others there is statistics pooling as in every network
here; frequency is averaged after the last convolution, so that it takes any number of bands; dropout is 0.3 (theirs
0.5), also between the recurrent layers and not after them (theirs the other way). The baseline's training (a mean
teacher, weak and unlabelled clips at fixed parts of a batch) is no part of it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from frami.models.network import Network, conv_recurrent_forward

WIDENING = (1, 2, 4, 8, 8, 8, 8)


class Gated(nn.Module):
    """A 3x3 convolution with batch norm, gated by a function of itself, ``(B, C, F, N) -> (B, C', F, N)``: ``h sigmoid(W h)``."""

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.gate = nn.Conv2d(outputs, outputs, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.norm(self.conv(x))
        return self.dropout(hidden * torch.sigmoid(self.gate(hidden)))


class Encoder(nn.Module):
    """Frequency is halved by every convolution as far as it goes, time by the first two."""

    def __init__(self, width: int, depth: int, recurrent: int, dropout: float) -> None:
        super().__init__()
        channels = [
            1,
            *(width * WIDENING[min(number, len(WIDENING) - 1)] for number in range(depth)),
        ]
        self.layers = nn.ModuleList(
            Gated(a, b, dropout) for a, b in zip(channels, channels[1:], strict=False)
        )
        self.recurrent = nn.GRU(
            channels[-1], recurrent, 2, batch_first=True, bidirectional=True, dropout=dropout
        )

    def forward(self, mel: Tensor) -> Tensor:
        return conv_recurrent_forward(mel, self.layers, self.recurrent)


def build(
    bands: int,
    classes: int,
    *,
    width: int = 16,
    depth: int = 7,
    recurrent: int = 128,
    dropout: float = 0.3,
    embedding: int = 128,
) -> Network:
    """Return a convolutional recurrent network; 1.2 M parameters by default.

    Args:
        bands: Mel bands F; the network takes any number.
        classes: Classes K.
        width: Channels of the first convolution; the last ones have eight times as many.
        depth: Convolutions.
        recurrent: Units of each of the two recurrent layers, each way.
        dropout: After every convolution and between the recurrent layers.
        embedding: Size E of the layer before the classifier.
    """
    encoder = Encoder(width, depth, recurrent, dropout)
    return Network(encoder, channels=2 * recurrent, classes=classes, embedding=embedding)
