"""Audio transforms under which the meaning of a spectrogram stays; none reverses time.

Each takes spectrograms ``(B, F, N)`` and a CPU generator, and draws for every clip of the batch on its own.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor


def with_timeline(
    view: Callable[[Tensor], Tensor], mel: Tensor, target: Tensor
) -> tuple[Tensor, Tensor]:
    """Return what a view of time makes of clips ``(B, F, N)``, and of a target that has a course ``(B, K, N)`` with them."""
    if target.dim() < 3:
        return view(mel), target
    both = view(torch.cat([mel, target], dim=1))
    return both[:, : mel.shape[1]], both[:, mel.shape[1] :]


def roll(mel: Tensor, rng: Generator) -> Tensor:
    """Return the clips rotated in time by any number of frames."""
    batch, bands, frames = mel.shape
    shift = torch.randint(frames, (batch, 1), generator=rng).to(mel.device)
    index = (torch.arange(frames, device=mel.device) - shift) % frames
    return mel.gather(2, index.unsqueeze(1).expand(batch, bands, frames))


def crop(mel: Tensor, rng: Generator, *, frames: int) -> Tensor:
    """Return ``frames`` successive frames of each clip, from anywhere in it."""
    batch, bands, length = mel.shape
    start = torch.randint(length - frames + 1, (batch, 1), generator=rng).to(mel.device)
    index = start + torch.arange(frames, device=mel.device)
    return mel.gather(2, index.unsqueeze(1).expand(batch, bands, frames))


def gain(mel: Tensor, rng: Generator, *, amount: float) -> Tensor:
    """Return the clips louder or softer by up to ``amount`` (in the spectrogram's own units)."""
    offset = (2 * torch.rand(mel.shape[0], 1, 1, generator=rng) - 1) * amount
    return mel + offset.to(mel.device)


def curve(mel: Tensor, rng: Generator, *, dim: int, amount: float, points: int = 6) -> Tensor:
    """Return the clips with a random curve added along the bands (``dim=1``, a filter) or frames (``dim=2``, an envelope).

    The curve joins ``points`` normal values of deviation ``amount`` (in the spectrogram's own units).

    Source: Nam et al., "FilterAugment", ICASSP 2022, arXiv:2110.03282 (linear type, along the bands).
    """
    values = amount * torch.randn(mel.shape[0], 1, points, generator=rng)
    joined = torch.nn.functional.interpolate(
        values, size=mel.shape[dim], mode="linear", align_corners=True
    )
    return mel + joined.transpose(2, dim).to(mel.device)


def mask(mel: Tensor, rng: Generator, *, dim: int, fraction: float) -> Tensor:
    """Return the clips with one stretch of bands (``dim=1``) or frames (``dim=2``) set to the clip's mean.

    The stretch covers up to ``fraction`` of the dimension.

    Source: Park et al., "SpecAugment", Interspeech 2019, section 2. Differs: the mean, not zero, fills the mask.
    """
    batch, size = mel.shape[0], mel.shape[dim]
    width = torch.rand(batch, 1, generator=rng) * fraction * size
    start = torch.rand(batch, 1, generator=rng) * (size - width)
    position = torch.arange(size).unsqueeze(0)
    inside = ((position >= start) & (position < start + width)).to(mel.device).unsqueeze(3 - dim)
    return torch.where(inside, mel.mean(dim=(1, 2), keepdim=True), mel)


def mixup(mel: Tensor, rng: Generator, *, share: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return clips mixed with one another, the partner of each, and each clip's own part in the mix.

    A ``share`` of the batch is mixed, with a part drawn from [0.5, 1]; the rest keeps a part of 1.

    Source: Zhang et al., "mixup", ICLR 2018, section 2. Differs: a uniform part that is never below one half.

    Returns:
        Mixed clips ``(B, F, N)``, partners ``(B,)`` and own parts ``(B,)``.
    """
    batch = mel.shape[0]
    partner = torch.randperm(batch, generator=rng).to(mel.device)
    own = 1 - 0.5 * torch.rand(batch, generator=rng)
    own = torch.where(torch.rand(batch, generator=rng) < share, own, torch.ones(())).to(mel.device)
    weight = own.view(-1, 1, 1)
    return weight * mel + (1 - weight) * mel[partner], partner, own


def splice(mel: Tensor, rng: Generator, *, share: float) -> Tensor:
    """Return clips in which a stretch of time is another clip's, for a ``share`` of the batch.

    What a teacher says of the result has to be asked of it anew.

    Source: Yun et al., "CutMix", ICCV 2019, arXiv:1905.04899. Differs: all bands are cut, as sounds follow one another.
    """
    batch, _, frames = mel.shape
    width = torch.rand(batch, 1, generator=rng) * frames
    width = torch.where(torch.rand(batch, 1, generator=rng) < share, width, torch.zeros(()))
    start = torch.rand(batch, 1, generator=rng) * (frames - width)
    position = torch.arange(frames).unsqueeze(0)
    inside = ((position >= start) & (position < start + width)).to(mel.device).unsqueeze(1)
    partner = torch.randperm(batch, generator=rng).to(mel.device)
    return torch.where(inside, mel[partner], mel)
