"""CED-tiny: a vision transformer on waveforms, with one batch norm in front.

Source: Dinkel et al., "CED: Consistent Ensemble Distillation for Audio Tagging", ICASSP 2024;
github.com/RicherMans/CED, models/audiotransformer.py. Modules are named as there.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from frami.bench.foreign.features import mel_bands, power_spectrogram
from frami.bench.foreign.transformer import Attention, Mlp


class MelSpectrogram(nn.Module):
    """The two modules that torchaudio's MelSpectrogram keeps its constants in."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.spectrogram, self.mel_scale = nn.Module(), nn.Module()
        self.spectrogram.register_buffer("window", torch.hann_window(512))
        self.mel_scale.register_buffer("fb", mel_bands(16000, 512, bands, 0, 8000))

    def forward(self, waveform: Tensor) -> Tensor:
        """Return the power ``(B, F, N)``."""
        bank = self.mel_scale.fb
        assert isinstance(bank, Tensor)
        return bank.T @ power_spectrogram(waveform, 512, 512, 160)


class AmplitudeToDB(nn.Module):
    def forward(self, power: Tensor) -> Tensor:
        """Return decibels, at most 120 below the clip's loudest.

        In the original, clips of a batch share the loudest value.
        """
        decibels = 10 * power.clamp(min=1e-10).log10()
        return decibels.maximum(decibels.amax(dim=(1, 2), keepdim=True) - 120)


class PatchEmbed(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, size, 16, 16)


class Block(nn.Module):
    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        norm = partial(nn.LayerNorm, size, eps=1e-6)
        self.norm1, self.norm2 = norm(), norm()
        self.attn, self.mlp = Attention(size, heads), Mlp(size, 4 * size)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        result: Tensor = x + self.mlp(self.norm2(x))
        return result


class AudioTransformer(nn.Module):
    """CED-tiny by default."""

    def __init__(
        self, classes: int = 527, size: int = 192, depth: int = 12, heads: int = 3, bands: int = 64
    ) -> None:
        super().__init__()
        self.front_end = nn.Sequential(MelSpectrogram(bands), AmplitudeToDB())
        self.init_bn = nn.Sequential(nn.Identity(), nn.BatchNorm2d(bands, momentum=0.01))
        self.time_pos_embed = nn.Parameter(0.02 * torch.randn(1, size, 1, 1012 // 16))
        self.freq_pos_embed = nn.Parameter(0.02 * torch.randn(1, size, bands // 16, 1))
        self.patch_embed = PatchEmbed(size)
        self.blocks = nn.Sequential(*(Block(size, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(size, eps=1e-6)
        self.outputlayer = nn.Sequential(nn.LayerNorm(size), nn.Linear(size, classes))

    def forward(self, waveform: Tensor) -> Tensor:
        """Return the probabilities for waveforms ``(B, T)`` at 16 kHz, up to 10 seconds."""
        x = self.front_end(waveform).unsqueeze(1)
        x = self.init_bn(x.transpose(1, 2)).transpose(1, 2)
        x = self.patch_embed.proj(x)
        x = x + self.time_pos_embed[..., : x.shape[3]] + self.freq_pos_embed
        x = self.norm(self.blocks(x.flatten(2).transpose(1, 2)))
        probabilities: Tensor = self.outputlayer(x.mean(dim=1)).sigmoid()
        return probabilities
