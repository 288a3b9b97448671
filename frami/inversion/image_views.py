"""The views of the image methods, for a rerun as published. They are not fit for sound: a flip reverses time.

Each takes spectrograms ``(B, F, N)`` and a CPU generator, and draws for every clip of the batch on its own.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

WARNING = "views=image: flips reverse time and crops shift the mel bands, which changes what a sound is; views=audio does not."


def shift_and_flip(mel: Tensor, rng: Generator) -> Tensor:
    """Return the clips shifted by up to 4 bands and frames (zeros come in), half of them reversed in time."""
    batch, bands, frames = mel.shape
    shift = torch.randint(-4, 5, (2, batch), generator=rng)
    offset = torch.stack([2 * shift[0] / frames, 2 * shift[1] / bands], dim=1)
    return _resampled(mel, torch.ones(batch, 2), offset, rng, mode="nearest")


def random_resized_crop(mel: Tensor, rng: Generator) -> Tensor:
    """Return a rectangle of each clip, 1/4 to all of its area and of any place, stretched to the whole; half reversed."""
    batch = len(mel)
    area = 0.25 + 0.75 * torch.rand(batch, generator=rng)
    aspect = torch.empty(batch).uniform_(-0.29, 0.29, generator=rng).exp()  # 3:4 to 4:3
    scale = torch.stack([(area * aspect).sqrt(), (area / aspect).sqrt()], dim=1).clamp(max=1)
    offset = (2 * torch.rand(batch, 2, generator=rng) - 1) * (1 - scale)
    return _resampled(mel, scale, offset, rng, mode="bilinear")


def _resampled(mel: Tensor, scale: Tensor, offset: Tensor, rng: Generator, *, mode: str) -> Tensor:
    """Return ``mel`` read at ``scale * place + offset``, each ``(B, 2)`` for time and frequency, in [-1, 1]."""
    turn = torch.where(torch.rand(len(mel), generator=rng) < 0.5, -1.0, 1.0)
    theta = torch.zeros(len(mel), 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = scale[:, 0] * turn, scale[:, 1]
    theta[:, :, 2] = offset
    grid = F.affine_grid(theta.to(mel.device), [len(mel), 1, *mel.shape[1:]], align_corners=False)
    return F.grid_sample(mel.unsqueeze(1), grid, mode=mode, align_corners=False).squeeze(1)
