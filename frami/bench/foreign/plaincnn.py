"""Four convolutions with three batch norms, on log-mel spectrograms ``(B, F, N)`` of librosa."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .features import mel_bands, power_spectrogram


class PlainCNN(nn.Module):
    """Convolutions, mean and maximum over time, and two linear layers.

    Args:
        classes: Number of classes.
        width: Channels of the first layer; the last has eight times as many.
    """

    def __init__(self, classes: int = 10, width: int = 16) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        sizes = [1, width, 2 * width, 4 * width]
        for inputs, outputs in zip(sizes, sizes[1:], strict=False):
            layers += [
                nn.Conv2d(inputs, outputs, 3, padding=1),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
        layers += [nn.Conv2d(4 * width, 8 * width, 3, padding=1), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        self.hidden = nn.Linear(16 * width, 96)
        self.dropout = nn.Dropout(0.3)
        self.last = nn.Linear(96, classes)

    def forward(self, mel: Tensor) -> Tensor:
        """Return the logits of log-mel spectrograms ``(B, F, N)``."""
        hidden = self.convolutions(mel.unsqueeze(1)).mean(dim=2)
        pooled = torch.cat([hidden.mean(dim=2), hidden.amax(dim=2)], dim=1)
        logits: Tensor = self.last(self.dropout(self.hidden(pooled).relu()))
        return logits


def features(waveform: Tensor, rate: int, n_fft: int, hop: int, bands: int) -> Tensor:
    """Return mel bands ``(B, F, N)`` of waveforms ``(B, T)``: decibels, scaled to about -1 to 1."""
    power = power_spectrogram(waveform, n_fft, n_fft, hop)
    mel = mel_bands(rate, n_fft, bands, 50, rate / 2, slaney=True).T @ power
    return (10 * mel.clamp(min=1e-8).log10() + 40) / 20


def fsdd_features(waveform: Tensor) -> Tensor:
    """Return features of spoken digits at 8 kHz."""
    return features(waveform, 8000, 256, 100, 40)


def esc10_features(waveform: Tensor) -> Tensor:
    """Return features of ESC-10 at 16 kHz."""
    return features(waveform, 16000, 512, 320, 64)


def fsdd() -> PlainCNN:
    """Return the network for spoken digits."""
    return PlainCNN()


def esc10() -> PlainCNN:
    """Return the network for ESC-10."""
    return PlainCNN()
