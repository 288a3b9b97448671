"""A plain CNN with two convolutions."""

from torch import Tensor, nn

from frami.models.network import Network


class Encoder(nn.Module):
    """Spectrograms ``(B, 1, F, N)`` to the hidden state ``(B, D, N')``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 3, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 4 * width, 3, 2, 1, bias=False),
            nn.BatchNorm2d(4 * width),
            nn.ReLU(),
        )

    def forward(self, mel: Tensor) -> Tensor:
        hidden: Tensor = self.layers(mel)
        return hidden.mean(dim=2)  # average over frequency


def build(bands: int, classes: int, *, width: int = 24, embedding: int = 96) -> Network:
    """Return the network with fresh weights."""
    return Network(Encoder(width), channels=4 * width, classes=classes, embedding=embedding)
