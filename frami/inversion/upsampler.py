"""The generator of the image methods: a noise vector to a spectrogram, in two upsampling steps."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from frami.inversion.resize_conv import ResizeConv2d
from frami.models.model import Model


class Upsampler(nn.Module):
    """Noise ``(B, Z)`` to spectrograms ``(B, F, N)`` within the front end's range.

    A linear layer gives a map with a quarter of the bands and frames, which two resize-convolutions
    upsample. Shorter clips than ``n_frames`` use the first columns of the map only, so that each
    column means the same frames at every length. For longer clips the map is interpolated.

    Source: the generator of Fang et al., "Contrastive Model Inversion", IJCAI 2021 (after DAFL,
    ICCV 2019), as in the authors' code. Differs: any number of bands and frames; the output is a
    sigmoid over the front end's range, which starts at 0 (the mean).

    Args:
        n_mels: Number of mel bands, F.
        n_frames: Length of the longest clips.
        value_range: Lowest and highest value of the front end.
        latent: Size of the noise, Z.
    """

    def __init__(
        self, n_mels: int, n_frames: int, value_range: tuple[float, float], *, latent: int = 256
    ) -> None:
        super().__init__()
        self.n_mels, self.latent = n_mels, latent
        self.size = (-(-n_mels // 4), -(-n_frames // 4))
        self.expand = nn.Linear(latent, 128 * self.size[0] * self.size[1])
        self.norm = nn.BatchNorm2d(128)
        self.first = nn.Sequential(
            ResizeConv2d(128, 128), nn.BatchNorm2d(128), nn.LeakyReLU(0.2, inplace=True)
        )
        self.second = nn.Sequential(
            ResizeConv2d(128, 64), nn.BatchNorm2d(64), nn.LeakyReLU(0.2, inplace=True)
        )
        self.out = nn.Conv2d(64, 1, 3, 1, 1)
        self.low, self.high = value_range
        # Standardized spectrograms have mean 0: the sigmoid of this value is 0 in their range.
        self.start = float(torch.logit(torch.tensor(-self.low / (self.high - self.low)), eps=1e-3))

    @classmethod
    def for_teacher(cls, teacher: Model, latent: int) -> Upsampler:
        """Return a fresh generator for the longest clips of a synthesis.

        The engine gives a method a teacher whose ``frame_range`` is that of the synthesis.
        """
        front_end = teacher.front_end
        return cls(front_end.n_mels, teacher.frame_range[1], front_end.value_range, latent=latent)

    def sample_noise(self, batch: int, rng: Generator, device: str) -> Tensor:
        """Return standard normal noise ``(batch, Z)``."""
        return torch.randn(batch, self.latent, generator=rng).to(device)

    def _first_map(self, noise: Tensor, columns: int) -> Tensor:
        """Return the first ``columns`` of the map, ``(B, 128, rows, columns)``."""
        size = (128, *self.size)
        weight: Tensor = self.expand.weight
        bias: Tensor = self.expand.bias
        if columns < self.size[1]:
            weight = weight.view(*size, -1)[:, :, :columns].flatten(0, 2)
            bias = bias.view(size)[:, :, :columns].flatten()
        return F.linear(noise, weight, bias).view(len(noise), 128, self.size[0], columns)

    def forward(self, noise: Tensor, n_frames: int) -> Tensor:
        """Return spectrograms ``(B, F, n_frames)`` in float32."""
        rows, columns = self.size[0], -(-n_frames // 4)
        hidden = self._first_map(noise, min(columns, self.size[1]))
        if columns > self.size[1]:
            hidden = F.interpolate(hidden, (rows, columns), mode="bilinear", align_corners=True)
        hidden = self.norm(hidden.contiguous(memory_format=torch.channels_last))
        raw = self.out(self.second(self.first(hidden)))[:, 0, : self.n_mels, :n_frames].float()
        return self.low + (self.high - self.low) * torch.sigmoid(raw + self.start)
