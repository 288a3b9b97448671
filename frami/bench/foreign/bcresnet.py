"""BC-ResNet, a keyword spotter with broadcast residuals, on log-mel spectrograms ``(B, 1, F, N)``.

Source: Kim et al., "Broadcasted Residual Learning for Efficient Keyword Spotting", Interspeech
2021, table 1. Modules are named as in the published code.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from .features import mel_bands, power_spectrogram

GROUPS = 5  # of bands that are normalized apart


class SubSpectralNorm(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.ssnorm = nn.BatchNorm2d(channels * GROUPS)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, bands, frames = x.shape
        x = x.view(batch, channels * GROUPS, bands // GROUPS, frames)
        normalized: Tensor = self.ssnorm(x)
        return normalized.view(batch, channels, bands, frames)


class ConvBNReLU(nn.Module):
    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: tuple[int, int] = (1, 1),
        stride: tuple[int, int] = (1, 1),
        groups: int = 1,
        dilation: int = 1,
        sub_spectral: bool = False,
        act: nn.Module | None = None,
    ) -> None:
        super().__init__()
        padding = (kernel[0] // 2, dilation * (kernel[1] // 2))
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, kernel, stride, padding, (1, dilation), groups, bias=False),
            SubSpectralNorm(outputs) if sub_spectral else nn.BatchNorm2d(outputs),
        ]
        self.block = nn.Sequential(*layers, *([act] if act else []))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.block(x)
        return result


class BCResBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stage: int, stride: int) -> None:
        super().__init__()
        self.transition_block = inputs != outputs
        layers: list[nn.Module] = []
        if self.transition_block:
            layers.append(ConvBNReLU(inputs, outputs, act=nn.ReLU(True)))
        layers.append(ConvBNReLU(outputs, outputs, (3, 1), (stride, 1), outputs, sub_spectral=True))
        self.f2 = nn.Sequential(*layers)
        self.f1 = nn.Sequential(
            ConvBNReLU(
                outputs, outputs, (1, 3), groups=outputs, dilation=2**stage, act=nn.SiLU(True)
            ),
            nn.Conv2d(outputs, outputs, 1, bias=False),
            nn.Dropout2d(0.1),
        )

    def forward(self, x: Tensor) -> Tensor:
        bands = self.f2(x)
        broadcast = self.f1(bands.mean(dim=2, keepdim=True)) + bands
        return functional.relu(broadcast if self.transition_block else broadcast + x)


class BCResNets(nn.Module):
    """BC-ResNet.

    Args:
        base: Channels of the narrowest stage: 8 tau, with tau from 1 (9.2 k parameters) to 8
            (321 k).
        classes: Number of classes.
    """

    def __init__(self, base: int = 8, classes: int = 12) -> None:
        super().__init__()
        sizes = [2 * base, base, int(1.5 * base), 2 * base, int(2.5 * base), 4 * base]
        self.cnn_head = nn.Sequential(
            nn.Conv2d(1, sizes[0], 5, (2, 1), 2, bias=False),
            nn.BatchNorm2d(sizes[0]),
            nn.ReLU(True),
        )
        self.BCBlocks = nn.ModuleList()
        for stage, count in enumerate((2, 2, 4, 4)):
            channels = [sizes[stage], *[sizes[stage + 1]] * count]
            strides = [2 if stage in (1, 2) else 1, *[1] * (count - 1)]
            pairs = zip(channels, channels[1:], strides, strict=False)
            self.BCBlocks.append(
                nn.ModuleList(BCResBlock(a, b, stage, stride) for a, b, stride in pairs)
            )
        self.classifier = nn.Sequential(
            nn.Conv2d(sizes[4], sizes[4], 5, bias=False, groups=sizes[4], padding=(0, 2)),
            nn.Conv2d(sizes[4], sizes[5], 1, bias=False),
            nn.BatchNorm2d(sizes[5]),
            nn.ReLU(True),
            nn.AdaptiveAvgPool2d((1, 1)),
            nn.Conv2d(sizes[5], classes, 1),
        )

    def forward(self, mel: Tensor) -> Tensor:
        """Return the logits of log-mel spectrograms ``(B, 1, 40, N)``."""
        x = self.cnn_head(mel)
        for stage in self.BCBlocks:
            for block in stage:  # type: ignore[attr-defined]
                x = block(x)
        logits: Tensor = self.classifier(x)
        return logits.view(len(logits), -1)


def features(waveform: Tensor, rate: int, n_fft: int, win: int, hop: int) -> Tensor:
    """Return torchaudio's log-mel spectrograms ``(B, 1, 40, N)`` of waveforms ``(B, T)``."""
    power = power_spectrogram(waveform, n_fft, win, hop)
    mel = mel_bands(rate, n_fft, 40, 0, rate / 2).T @ power
    return (mel + 1e-6).log().unsqueeze(1)


def fsdd_features(waveform: Tensor) -> Tensor:
    """Return features of spoken digits at 8 kHz."""
    return features(waveform, 8000, 256, 240, 80)


def esc10_features(waveform: Tensor) -> Tensor:
    """Return features of ESC-10 at 16 kHz."""
    return features(waveform, 16000, 512, 480, 320)


def fsdd() -> BCResNets:
    """Return BC-ResNet-2 for spoken digits."""
    return BCResNets(16, 10)


def esc10() -> BCResNets:
    """Return BC-ResNet-2 for ESC-10."""
    return BCResNets(16, 10)
