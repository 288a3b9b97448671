"""The generator of the image methods: one noise vector to a clip through two doublings of a map."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from frami.inversion.resize_conv import ResizeConv2d
from frami.models.model import Model


class Upsampler(nn.Module):
    """Noise ``(B, Z)`` to spectrograms ``(B, F, N)`` within the front end's range.

    A linear layer gives a map of a quarter of the bands and frames, which two convolutions double; for a clip of another
    length than ``frames`` the first map is stretched.

    Source: the generator of Fang et al., "Contrastive Model Inversion", IJCAI 2021 (after DAFL, ICCV 2019), as in the
    authors' code. Differs: any number of bands and frames; a sigmoid over the front end's range,
    from 0 (the mean) on.
    """

    def __init__(
        self, bands: int, frames: int, value_range: tuple[float, float], *, latent: int = 256
    ) -> None:
        super().__init__()
        self.bands, self.latent = bands, latent
        self.size = (-(-bands // 4), -(-frames // 4))
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
        # Standardised spectrograms have a mean of 0; a generator of images begins at theirs.
        self.start = float(torch.logit(torch.tensor(-self.low / (self.high - self.low)), eps=1e-3))

    @classmethod
    def for_teacher(cls, teacher: Model, latent: int) -> Upsampler:
        """Return a fresh generator of clips as long as a teacher's, in the range of its front end."""
        front_end = teacher.front_end
        return cls(front_end.n_mels, teacher.frame_range[1], front_end.value_range, latent=latent)

    def sample_noise(self, batch: int, rng: Generator, device: str) -> Tensor:
        """Return fresh normal noise ``(batch, Z)``."""
        return torch.randn(batch, self.latent, generator=rng).to(device)

    def forward(self, noise: Tensor, frames: int) -> Tensor:
        """Return spectrograms ``(B, F, frames)`` in float32."""
        hidden = self.expand(noise).view(len(noise), 128, *self.size)
        wanted = (self.size[0], -(-frames // 4))
        if wanted != self.size:
            hidden = F.interpolate(hidden, size=wanted, mode="bilinear", align_corners=True)
        hidden = self.norm(hidden.contiguous(memory_format=torch.channels_last))
        raw = self.out(self.second(self.first(hidden)))[:, 0, : self.bands, :frames].float()
        return self.low + (self.high - self.low) * torch.sigmoid(raw + self.start)
