"""ECAPA-TDNN with its filterbank, on waveforms: 1-d convolutions and batch norms.

Source: Desplanques et al., "ECAPA-TDNN: Emphasized Channel Attention, Propagation and Aggregation
in TDNN Based Speaker Verification", Interspeech 2020. Modules are named as in speechbrain.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .features import mel_bands, power_spectrogram


class Conv1d(nn.Module):
    """A convolution over time that mirrors half a kernel at both ends."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, dilation: int = 1) -> None:
        super().__init__()
        padding = dilation * (kernel - 1) // 2
        self.conv = nn.Conv1d(
            inputs, outputs, kernel, dilation=dilation, padding=padding, padding_mode="reflect"
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv(x)
        return result


class BatchNorm1d(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.norm(x)
        return result


class TDNNBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv = Conv1d(inputs, outputs, kernel, dilation)
        self.activation = nn.ReLU()
        self.norm = BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.norm(self.activation(self.conv(x)))
        return result


class Res2NetBlock(nn.Module):
    def __init__(self, channels: int, scale: int, kernel: int, dilation: int) -> None:
        super().__init__()
        part, self.scale = channels // scale, scale
        self.blocks = nn.ModuleList(
            TDNNBlock(part, part, kernel, dilation) for _ in range(scale - 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        first, *others = x.chunk(self.scale, dim=1)
        parts = [first]
        for index, (block, part) in enumerate(zip(self.blocks, others, strict=True)):
            parts.append(block(part + parts[-1] if index else part))
        return torch.cat(parts, dim=1)


class SEBlock(nn.Module):
    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = Conv1d(channels, squeezed), Conv1d(squeezed, channels)

    def forward(self, x: Tensor) -> Tensor:
        scale: Tensor = self.conv2(self.conv1(x.mean(dim=2, keepdim=True)).relu())
        return scale.sigmoid() * x


class SERes2NetBlock(nn.Module):
    def __init__(self, channels: int, scale: int, squeezed: int, kernel: int, dilation: int):
        super().__init__()
        self.tdnn1 = TDNNBlock(channels, channels)
        self.res2net_block = Res2NetBlock(channels, scale, kernel, dilation)
        self.tdnn2 = TDNNBlock(channels, channels)
        self.se_block = SEBlock(channels, squeezed)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.se_block(self.tdnn2(self.res2net_block(self.tdnn1(x))))
        return result + x


def statistics(x: Tensor, weight: Tensor | float) -> tuple[Tensor, Tensor]:
    """Return the weighted mean and deviation over time, each ``(B, C, 1)``."""
    mean = (weight * x).sum(dim=2, keepdim=True)
    var = (weight * (x - mean).square()).sum(dim=2, keepdim=True)
    return mean, var.clamp(min=1e-12).sqrt()


class AttentiveStatisticsPooling(nn.Module):
    def __init__(self, channels: int, attention: int) -> None:
        super().__init__()
        self.tdnn = TDNNBlock(3 * channels, attention)
        self.conv = Conv1d(attention, channels)

    def forward(self, x: Tensor) -> Tensor:
        context = [part.expand_as(x) for part in statistics(x, 1 / x.shape[2])]
        scores: Tensor = self.conv(self.tdnn(torch.cat([x, *context], dim=1)).tanh())
        return torch.cat(statistics(x, scores.softmax(dim=2)), dim=1)


class ECAPA(nn.Module):
    """The embedding of ECAPA-TDNN, on features ``(B, N, F)``.

    Args:
        bands: Features F.
        channels: Channels of the first block, of the three residual ones, and of their sum.
        attention: Channels of the pooling's attention.
        scale: Parts of a residual block.
        squeezed: Channels of the squeeze and excitation.
        embedding: Size of the embedding.
    """

    def __init__(
        self,
        bands: int = 80,
        channels: Sequence[int] = (1024, 1024, 1024, 1024, 3072),
        attention: int = 128,
        scale: int = 8,
        squeezed: int = 128,
        embedding: int = 192,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([TDNNBlock(bands, channels[0], 5)])
        for size, dilation in zip(channels[1:-1], (2, 3, 4), strict=True):
            self.blocks.append(SERes2NetBlock(size, scale, squeezed, 3, dilation))
        self.mfa = TDNNBlock(sum(channels[1:-1]), channels[-1])
        self.asp = AttentiveStatisticsPooling(channels[-1], attention)
        self.asp_bn = BatchNorm1d(2 * channels[-1])
        self.fc = Conv1d(2 * channels[-1], embedding)

    def forward(self, features: Tensor) -> Tensor:
        """Return the embedding ``(B, 1, E)`` of features ``(B, N, F)``."""
        x, outputs = features.transpose(1, 2), []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        x = self.asp(self.mfa(torch.cat(outputs[1:], dim=1)))
        embedding: Tensor = self.fc(self.asp_bn(x))
        return embedding.transpose(1, 2)


class Fbank(nn.Module):
    """Mel bands in decibels ``(B, N, F)`` of waveforms."""

    def __init__(self, rate: int, n_fft: int, win: int, hop: int, bands: int) -> None:
        super().__init__()
        self.n_fft, self.win, self.hop = n_fft, win, hop
        self.register_buffer("bank", mel_bands(rate, n_fft, bands, 0, rate / 2), persistent=False)
        self.bank: Tensor

    def forward(self, waveform: Tensor) -> Tensor:
        power = power_spectrogram(waveform, self.n_fft, self.win, self.hop)
        return 10 * (power.transpose(1, 2) @ self.bank).clamp(min=1e-10).log10()


class InputNormalization(nn.Module):
    """Subtract the mean of each band over the clip."""

    def forward(self, features: Tensor) -> Tensor:
        return features - features.mean(dim=1, keepdim=True)


class SpeakerNet(nn.Module):
    """Features, embedding and a linear classifier, on waveforms ``(B, T)``."""

    def __init__(self, features: Fbank, embedding_model: ECAPA, size: int, classes: int) -> None:
        super().__init__()
        self.compute_features = features
        self.mean_var_norm = InputNormalization()
        self.embedding_model = embedding_model
        self.classifier = nn.Linear(size, classes)

    def forward(self, waveform: Tensor) -> Tensor:
        """Return the logits."""
        features = self.mean_var_norm(self.compute_features(waveform))
        logits: Tensor = self.classifier(self.embedding_model(features).squeeze(1))
        return logits


def _small(features: Fbank, bands: int) -> SpeakerNet:
    network = ECAPA(bands, (64, 64, 64, 64, 192), attention=32, scale=4, squeezed=32, embedding=64)
    return SpeakerNet(features, network, 64, 10)


def fsdd() -> SpeakerNet:
    """Return a narrow ECAPA-TDNN for spoken digits at 8 kHz."""
    return _small(Fbank(8000, 256, 200, 80, 40), 40)


def esc10() -> SpeakerNet:
    """Return a narrow ECAPA-TDNN for ESC-10 at 16 kHz."""
    return _small(Fbank(16000, 512, 400, 320, 64), 64)
