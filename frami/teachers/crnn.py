"""A convolutional recurrent network: gated convolutions, then bidirectional recurrent layers.

Source: the baseline of DCASE 2023 task 4 (seven gated convolutions and two bidirectional GRUs of
128 units; 1.1 M parameters). Differs:

- The output h of a convolution is gated as ``h sigmoid(W h)``; theirs as ``W h sigmoid(h)``.
- The task sound-events has the pooling of `frami.models.heads.FrameHead`. Other tasks have
  statistics pooling, as every network here.
- Frequency is averaged after the last convolution, so that any number of bands is possible.
- Dropout is 0.3 (theirs 0.5). It is applied between the recurrent layers and not after them;
  theirs after them and not between.
- The baseline's training is not part of this module (a mean teacher, with fixed shares of weakly
  labeled and unlabeled clips in each batch).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from frami.models.network import Network
from frami.models.recurrent import conv_recurrent_forward

WIDENING = (1, 2, 4, 8, 8, 8, 8)


class Gated(nn.Module):
    """A 3x3 convolution with batch norm and a gate, ``(B, C, F, N) -> (B, C', F, N)``."""

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.gate = nn.Conv2d(outputs, outputs, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.norm(self.conv(x))
        gated: Tensor = self.dropout(hidden * torch.sigmoid(self.gate(hidden)))
        return gated


class Encoder(nn.Module):
    """Gated convolutions and recurrent layers; see `conv_recurrent_forward` for the pooling."""

    def __init__(self, width: int, depth: int, recurrent: int, dropout: float) -> None:
        super().__init__()
        last = len(WIDENING) - 1
        channels = [1, *(width * WIDENING[min(index, last)] for index in range(depth))]
        self.layers = nn.ModuleList(
            Gated(inputs, outputs, dropout)
            for inputs, outputs in zip(channels, channels[1:], strict=False)
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
        depth: Number of convolutions.
        recurrent: Units of each of the two recurrent layers, per direction.
        dropout: Dropout after every convolution and between the recurrent layers.
        embedding: Size E of the layer before the classifier.
    """
    encoder = Encoder(width, depth, recurrent, dropout)
    return Network(encoder, channels=2 * recurrent, classes=classes, embedding=embedding)
