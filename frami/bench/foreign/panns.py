"""PANNs: a spectrogram, its logarithm and a VGG-like network, on waveforms.

Source: Kong et al., "PANNs: Large-Scale Pretrained Audio Neural Networks for Audio Pattern
Recognition", TASLP 2020, table 1. Modules are named as in the published checkpoints.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .features import mel_bands


class STFT(nn.Module):
    """A Fourier transform written as two convolutions, so that its constants are weights."""

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        time = torch.arange(n_fft, dtype=torch.double)
        phase = 2 * math.pi / n_fft * time[: n_fft // 2 + 1, None] * time
        window = torch.hann_window(n_fft, dtype=torch.double)
        self.conv_real, self.conv_imag = (
            nn.Conv1d(1, n_fft // 2 + 1, n_fft, hop, bias=False) for _ in range(2)
        )
        for conv, wave in ((self.conv_real, phase.cos()), (self.conv_imag, -phase.sin())):
            conv.weight = nn.Parameter((window * wave).float().unsqueeze(1), requires_grad=False)

    def forward(self, waveform: Tensor) -> Tensor:
        padded = functional.pad(waveform.unsqueeze(1), [self.n_fft // 2] * 2, mode="reflect")
        power: Tensor = self.conv_real(padded) ** 2 + self.conv_imag(padded) ** 2
        return power.transpose(1, 2).unsqueeze(1)  # (B, 1, N, bins)


class Spectrogram(nn.Module):
    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        self.stft = STFT(n_fft, hop)

    def forward(self, waveform: Tensor) -> Tensor:
        power: Tensor = self.stft(waveform)
        return power


class LogmelFilterBank(nn.Module):
    def __init__(self, rate: int, n_fft: int, bands: int, f_min: float, f_max: float) -> None:
        super().__init__()
        bank = mel_bands(rate, n_fft, bands, f_min, f_max, slaney=True)
        self.melW = nn.Parameter(bank, requires_grad=False)

    def forward(self, power: Tensor) -> Tensor:
        return 10 * (power @ self.melW).clamp(min=1e-10).log10()


class ConvBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        nn.init.xavier_uniform_(self.conv1.weight)
        nn.init.xavier_uniform_(self.conv2.weight)

    def forward(self, x: Tensor, pool: int = 2) -> Tensor:
        x = functional.relu_(self.bn1(self.conv1(x)))
        x = functional.relu_(self.bn2(self.conv2(x)))
        return functional.avg_pool2d(x, pool)


class Cnn(nn.Module):
    """Cnn10 (4 blocks, embedding 512) or Cnn14 (6 blocks, embedding 2048).

    Args:
        classes: Number of classes.
        rate: Sampling rate, Hz.
        n_fft: Length of window and Fourier transform.
        hop: Distance between frames, samples.
        bands: Mel bands.
        f_min: Lower edge of the mel bands, Hz.
        f_max: Upper edge of the mel bands, Hz.
        width: Channels of the first block; each further block has twice as many.
        blocks: Number of blocks.
        pooled: Blocks that halve time and frequency; the last of Cnn14 does not.
        multi_label: Whether the answer is the sigmoid of the logits, as in the published networks;
            otherwise the logarithm of the softmax, as in their fine-tuning template.
    """

    def __init__(
        self,
        classes: int = 527,
        rate: int = 32000,
        n_fft: int = 1024,
        hop: int = 320,
        bands: int = 64,
        f_min: float = 50,
        f_max: float = 14000,
        width: int = 64,
        blocks: int = 4,
        pooled: int = 4,
        multi_label: bool = True,
    ) -> None:
        super().__init__()
        self.pooled, self.multi_label = pooled, multi_label
        self.spectrogram_extractor = Spectrogram(n_fft, hop)
        self.logmel_extractor = LogmelFilterBank(rate, n_fft, bands, f_min, f_max)
        self.bn0 = nn.BatchNorm2d(bands)
        sizes = [1, *(width * 2**block for block in range(blocks))]
        self.blocks = [f"conv_block{block}" for block in range(1, blocks + 1)]
        for name, inputs, outputs in zip(self.blocks, sizes, sizes[1:], strict=False):
            self.add_module(name, ConvBlock(inputs, outputs))
        self.fc1 = nn.Linear(sizes[-1], sizes[-1])
        self.fc_audioset = nn.Linear(sizes[-1], classes)

    def forward(self, waveform: Tensor) -> dict[str, Tensor]:
        """Return the answer for waveforms ``(B, T)``."""
        x = self.logmel_extractor(self.spectrogram_extractor(waveform))  # (B, 1, N, bands)
        x = self.bn0(x.transpose(1, 3)).transpose(1, 3)
        for index, name in enumerate(self.blocks):
            x = getattr(self, name)(x, 2 if index < self.pooled else 1)
            x = functional.dropout(x, 0.2, self.training)
        x = x.mean(dim=3)
        x = x.amax(dim=2) + x.mean(dim=2)
        embedding = functional.relu(self.fc1(functional.dropout(x, 0.5, self.training)))
        logits = self.fc_audioset(functional.dropout(embedding, 0.5, self.training))
        answer = logits.sigmoid() if self.multi_label else logits.log_softmax(dim=-1)
        return {"clipwise_output": answer, "embedding": embedding}


def cnn10(**arguments: Any) -> Cnn:
    """Return Cnn10; 5.2 M trained parameters by default."""
    return Cnn(**arguments)


def cnn14(**arguments: Any) -> Cnn:
    """Return Cnn14; 80.8 M trained parameters by default."""
    return Cnn(**{"blocks": 6, "pooled": 5} | arguments)


def fsdd() -> Cnn:
    """Return a Cnn10 of a quarter of the width for spoken digits at 8 kHz."""
    return cnn10(classes=10, rate=8000, n_fft=256, hop=80, f_max=4000, width=16, multi_label=False)


def esc10() -> Cnn:
    """Return a Cnn10 of a quarter of the width for ESC-10 at 16 kHz."""
    return cnn10(
        classes=10, rate=16000, n_fft=512, hop=320, f_max=8000, width=16, multi_label=False
    )
