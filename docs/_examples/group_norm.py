"""A CNN without batch norms, as training with differential privacy needs it."""

from itertools import pairwise

from torch import Tensor, nn

from frami.models.network import Network

GROUPS = 4


class Encoder(nn.Module):
    """Spectrograms ``(B, 1, F, N)`` to the hidden state ``(B, D, N')``."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        for inputs, outputs in pairwise([1, width, *[2 * width] * depth]):
            self.layers.append(nn.Conv2d(inputs, outputs, 3, 2, 1))
            self.layers.append(nn.GroupNorm(GROUPS, outputs))
            self.layers.append(nn.ReLU())

    def forward(self, mel: Tensor) -> Tensor:
        hidden: Tensor = self.layers(mel)
        return hidden.mean(dim=2)  # average over frequency


def build(
    bands: int, classes: int, *, width: int = 16, depth: int = 2, embedding: int = 48
) -> Network:
    """Return the network with fresh weights; width and embedding are multiples of 4."""
    encoder = Encoder(width, depth)
    network = Network(encoder, channels=2 * width, classes=classes, embedding=embedding)
    network.head.norm = nn.GroupNorm(GROUPS, embedding)
    return network
