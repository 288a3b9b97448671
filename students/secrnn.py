"""A convolutional recurrent network of a third of the size of the usual, with attention to channels and to frequencies.

Source: after SE-CRNN (Xiao and Das, ICASSP Workshops 2024, arXiv:2402.02781), a compact CRNN with squeeze and excitation
of channels (Hu et al., CVPR 2018) and of frequencies (Nam et al., 2023, arXiv:2306.11277); its sizes are not published.
"""

from __future__ import annotations

from torch import Tensor, nn

from frami.models.network import Network, conv_recurrent_forward

WIDENING = (1, 2, 4, 6, 6)
SQUEEZE = 4


class Attention(nn.Module):
    """Weights each channel by what the whole clip is like, and each frequency of a frame by what that frame is like."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = max(1, channels // SQUEEZE)
        self.channels = nn.Sequential(
            nn.Linear(channels, squeezed), nn.ReLU(), nn.Linear(squeezed, channels)
        )
        # A kernel over frequency, and no full matrix: it takes any number of bands.
        self.frequencies = nn.Conv2d(1, 1, (7, 1), padding=(3, 0))

    def forward(self, x: Tensor) -> Tensor:
        """Return clips ``(B, C, F, N)``, weighted."""
        # Gradients then lie in memory as the maps do under bfloat16, channels last: a step of training takes two thirds of
        # the time that it takes otherwise, and a fifth longer in float32.
        x = x.permute(0, 2, 3, 1)
        of_channels = self.channels(x.mean(dim=(1, 2))).sigmoid()
        of_frequencies = self.frequencies(x.mean(dim=3).unsqueeze(1)).sigmoid()
        weights = of_frequencies.flatten(1).unsqueeze(2) @ of_channels.unsqueeze(1)
        return (x * weights.view(x.shape)).permute(0, 3, 1, 2)


class Encoder(nn.Module):
    """Frequency is halved by every convolution as far as it goes, time by the first two."""

    def __init__(self, width: int, depth: int, recurrent: int) -> None:
        super().__init__()
        channels = [
            1,
            *(width * WIDENING[min(number, len(WIDENING) - 1)] for number in range(depth)),
        ]
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
                Attention(outputs),
            )
            for inputs, outputs in zip(channels, channels[1:], strict=False)
        )
        self.recurrent = nn.GRU(channels[-1], recurrent, 1, batch_first=True, bidirectional=True)

    def forward(self, mel: Tensor) -> Tensor:
        return conv_recurrent_forward(mel, self.layers, self.recurrent)


def build(
    bands: int,
    classes: int,
    *,
    width: int = 16,
    depth: int = 6,
    recurrent: int | None = None,
    embedding: int = 96,
) -> Network:
    """Return a compact convolutional recurrent network; 0.35 M parameters by default.

    Args:
        bands: Mel bands F; the network takes any number.
        classes: Classes K.
        width: Channels of the first convolution; the last ones have six times as many.
        depth: Convolutions.
        recurrent: Units of the recurrent layer, each way; None is four times the width.
        embedding: Size E of the layer before the classifier.
    """
    recurrent = recurrent or 4 * width
    return Network(
        Encoder(width, depth, recurrent),
        channels=2 * recurrent,
        classes=classes,
        embedding=embedding,
    )
