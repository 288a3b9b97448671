"""The views of the image methods, to rerun them as published. They do not suit audio.

Each takes spectrograms ``(B, F, N)`` and a CPU generator, and draws separately for every clip.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

WARNING = (
    "views=image reverses clips in time and shifts their mel bands, which changes what a sound is; "
    "views=audio does not."
)


def shift_and_flip(mel: Tensor, rng: Generator) -> Tensor:
    """Return the clips shifted by up to 4 bands and frames, half of them reversed in time.

    Zeros are shifted in.
    """
    batch, n_mels, n_frames = mel.shape
    shift = torch.randint(-4, 5, (2, batch), generator=rng)
    offset = torch.stack([2 * shift[0] / n_frames, 2 * shift[1] / n_mels], dim=1)
    return _resample(mel, torch.ones(batch, 2), offset, rng, mode="nearest")


def random_resized_crop(mel: Tensor, rng: Generator) -> Tensor:
    """Return a random rectangle of each clip, stretched to the clip's size, half reversed in time.

    The rectangle has 1/4 to all of the clip's area.
    """
    batch = len(mel)
    area = 0.25 + 0.75 * torch.rand(batch, generator=rng)
    aspect = torch.empty(batch).uniform_(-0.29, 0.29, generator=rng).exp()  # 3:4 to 4:3
    scale = torch.stack([(area * aspect).sqrt(), (area / aspect).sqrt()], dim=1).clamp(max=1)
    offset = (2 * torch.rand(batch, 2, generator=rng) - 1) * (1 - scale)
    return _resample(mel, scale, offset, rng, mode="bilinear")


def _resample(mel: Tensor, scale: Tensor, offset: Tensor, rng: Generator, *, mode: str) -> Tensor:
    """Return ``mel`` sampled at ``scale * position + offset``, with half of the clips reversed.

    Scale and offset are ``(B, 2)``, for time and frequency; positions are in [-1, 1].
    """
    direction = torch.where(torch.rand(len(mel), generator=rng) < 0.5, -1.0, 1.0)
    theta = torch.zeros(len(mel), 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = scale[:, 0] * direction, scale[:, 1]
    theta[:, :, 2] = offset
    grid = F.affine_grid(theta.to(mel.device), [len(mel), 1, *mel.shape[1:]], align_corners=False)
    return F.grid_sample(mel.unsqueeze(1), grid, mode=mode, align_corners=False).squeeze(1)
