"""EfficientAT's MobileNetV3, on log-mel spectrograms ``(B, 1, F, N)``.

Source: Schmid et al., "Efficient Large-Scale Audio Tagging via Transformer-to-CNN Knowledge
Distillation", ICASSP 2023; Howard et al., "Searching for MobileNetV3", ICCV 2019, table 1. Modules
are named as in the published checkpoints.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .features import kaldi_bands, power_spectrogram

# Kernel, expanded channels, channels, squeeze-and-excitation, hard swish, stride.
BLOCKS = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)


def divisible(value: float, divisor: int = 8) -> int:
    """Return the multiple of 8 nearest to a number of channels, at least 90 % of it."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def conv(
    inputs: int, outputs: int, kernel: int, act: nn.Module | None, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Return a convolution, its batch norm and its activation."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=0.001, momentum=0.01),
    ]
    nn.init.kaiming_normal_(layers[0].weight, mode="fan_out")  # type: ignore[arg-type]
    return nn.Sequential(*layers, *([act] if act else []))


class SqueezeExcitation(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = divisible(channels // 4)
        self.fc1, self.fc2 = nn.Linear(channels, squeezed), nn.Linear(squeezed, channels)

    def forward(self, x: Tensor) -> Tensor:
        scale: Tensor = self.fc2(functional.relu(self.fc1(x.mean(dim=(2, 3)))))
        return x * scale.sigmoid()[:, :, None, None]


class ConcurrentSEBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conc_se_layers = nn.ModuleList([SqueezeExcitation(channels)])

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([layer(x) for layer in self.conc_se_layers]).amax(dim=0)


class InvertedResidual(nn.Module):
    def __init__(
        self,
        inputs: int,
        kernel: int,
        expanded: int,
        outputs: int,
        squeeze: bool,
        swish: bool,
        stride: int,
    ) -> None:
        super().__init__()
        act = nn.Hardswish if swish else nn.ReLU
        layers: list[nn.Module] = []
        if expanded != inputs:
            layers.append(conv(inputs, expanded, 1, act(inplace=True)))
        layers.append(conv(expanded, expanded, kernel, act(inplace=True), stride, expanded))
        if squeeze:
            layers.append(ConcurrentSEBlock(expanded))
        layers.append(conv(expanded, outputs, 1, None))
        self.block = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.block(x)
        if self.residual:
            result += x
        return result


class MobileNet(nn.Module):
    """MobileNetV3-Large with one input channel and an MLP as head.

    Args:
        classes: Number of classes.
        width: Factor on the channels: 0.4 is mn04, 1.0 is mn10.
    """

    def __init__(self, classes: int = 527, width: float = 1.0) -> None:
        super().__init__()
        inputs = divisible(16 * width)
        layers: list[nn.Module] = [conv(1, inputs, 3, nn.Hardswish(inplace=True), 2)]
        for kernel, expanded, outputs, squeeze, swish, stride in BLOCKS:
            sizes = divisible(expanded * width), divisible(outputs * width)
            layers.append(InvertedResidual(inputs, kernel, *sizes, squeeze, swish, stride))
            inputs = sizes[1]
        layers.append(conv(inputs, 6 * inputs, 1, nn.Hardswish(inplace=True)))
        self.features = nn.Sequential(*layers)
        last = divisible(1280 * width)
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(start_dim=1),
            nn.Linear(6 * inputs, last),
            nn.Hardswish(inplace=True),
            nn.Dropout(p=0.2, inplace=True),
            nn.Linear(last, classes),
        )

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits and the pooled features of log-mel spectrograms ``(B, 1, F, N)``."""
        x = self.features(mel)
        return self.classifier(x), x.mean(dim=(2, 3))


def features(waveform: Tensor, rate: int, n_fft: int, win: int, hop: int, bands: int) -> Tensor:
    """Return EfficientAT's log-mel spectrograms ``(B, 1, F, N)`` of waveforms ``(B, T)``."""
    emphasized = waveform[:, 1:] - 0.97 * waveform[:, :-1]
    power = power_spectrogram(emphasized, n_fft, win, hop, periodic=False)
    mel = kaldi_bands(rate, n_fft, bands, 0, rate / 2).T @ power
    return ((mel + 1e-5).log() + 4.5).unsqueeze(1) / 5


def fsdd_features(waveform: Tensor) -> Tensor:
    """Return features of spoken digits at 8 kHz."""
    return features(waveform, 8000, 256, 200, 80, 64)


def esc10_features(waveform: Tensor) -> Tensor:
    """Return features of ESC-10 at 16 kHz."""
    return features(waveform, 16000, 512, 400, 320, 64)


def fsdd() -> MobileNet:
    """Return mn04 for spoken digits."""
    return MobileNet(10, 0.4)


def esc10() -> MobileNet:
    """Return mn04 for ESC-10."""
    return MobileNet(10, 0.4)
