"""A plain CNN: one convolution, then ``depth`` wider ones."""

from itertools import pairwise

from torch import Tensor, nn

from frami.models.network import Network


class Encoder(nn.Module):
    """Spectrograms ``(B, 1, F, N)`` to the hidden state ``(B, D, N')``."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        channels = [1, width, *[4 * width] * depth]
        for inputs, outputs in pairwise(channels):
            self.layers.append(nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False))
            self.layers.append(nn.BatchNorm2d(outputs))
            self.layers.append(nn.ReLU())

    def forward(self, mel: Tensor) -> Tensor:
        hidden: Tensor = self.layers(mel)
        return hidden.mean(dim=2)  # average over frequency


def build(
    bands: int, classes: int, *, width: int = 24, depth: int = 1, embedding: int = 96
) -> Network:
    """Return the network with fresh weights."""
    encoder = Encoder(width, depth)
    return Network(encoder, channels=4 * width, classes=classes, embedding=embedding)
