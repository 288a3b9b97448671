"""The depthwise-separable CNN of MLPerf Tiny, on MFCC ``(B, 1, N, coefficients)``.

Source: Banbury et al., "MLPerf Tiny Benchmark", NeurIPS 2021; Zhang et al., "Hello Edge: Keyword
Spotting on Microcontrollers", arXiv:1711.07128. The published weights are those of Keras: here
each layer has the same shape, in torch's order of dimensions.
"""

from __future__ import annotations

from torch import Tensor, nn

from .features import cosine_transform, mel_bands, power_spectrogram


class DSCNN(nn.Module):
    """Four depthwise-separable convolutions behind one that halves time and coefficients.

    Args:
        classes: Number of classes.
        width: Channels.
    """

    def __init__(self, classes: int = 12, width: int = 64) -> None:
        super().__init__()
        # Padding "same" of Keras for an odd number of frames and an even number of coefficients.
        self.pad = nn.ZeroPad2d((1, 1, 4, 5))
        self.conv = nn.Conv2d(1, width, (10, 4), 2)
        self.bn = nn.BatchNorm2d(width, eps=0.001, momentum=0.01)
        self.dropout = nn.Dropout(0.2)
        self.blocks = nn.Sequential(
            *(layer for _ in range(4) for layer in self._separable(width)),
        )
        self.last_dropout = nn.Dropout(0.4)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(width, classes)

    @staticmethod
    def _separable(width: int) -> list[nn.Module]:
        return [
            nn.Conv2d(width, width, 3, padding=1, groups=width),
            nn.BatchNorm2d(width, eps=0.001, momentum=0.01),
            nn.ReLU(),
            nn.Conv2d(width, width, 1),
            nn.BatchNorm2d(width, eps=0.001, momentum=0.01),
            nn.ReLU(),
        ]

    def forward(self, mfcc: Tensor) -> Tensor:
        """Return the logits of MFCC ``(B, 1, N, coefficients)``."""
        x = self.dropout(self.bn(self.conv(self.pad(mfcc))).relu())
        logits: Tensor = self.fc(self.pool(self.last_dropout(self.blocks(x))).flatten(1))
        return logits


def features(waveform: Tensor, rate: int, n_fft: int, win: int, hop: int) -> Tensor:
    """Return 10 MFCC of 40 mel bands of the magnitude, ``(B, 1, N, 10)``, of ``(B, T)``."""
    magnitude = power_spectrogram(waveform, n_fft, win, hop).sqrt()
    mel = mel_bands(rate, n_fft, 40, 20, 4000).T @ magnitude
    mfcc = cosine_transform(10, 40) @ (mel + 1e-6).log()
    return mfcc.transpose(1, 2).unsqueeze(1)


def fsdd_features(waveform: Tensor) -> Tensor:
    """Return features of spoken digits at 8 kHz."""
    return features(waveform, 8000, 256, 240, 160)


def esc10_features(waveform: Tensor) -> Tensor:
    """Return features of ESC-10 at 16 kHz."""
    return features(waveform, 16000, 512, 480, 320)


def fsdd() -> DSCNN:
    """Return the network of MLPerf Tiny for spoken digits."""
    return DSCNN(10)


def esc10() -> DSCNN:
    """Return the network of MLPerf Tiny for ESC-10."""
    return DSCNN(10)
