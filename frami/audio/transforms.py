"""Random transforms of spectrograms that keep the class of a clip; none reverses time.

Each takes spectrograms ``(B, F, N)`` and a CPU generator, and draws new values for every clip of
the batch. torchaudio's ``FrequencyMasking`` and ``TimeMasking`` take no generator.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

CURVE_POINTS = 6


def with_timeline(
    view: Callable[[Tensor], Tensor], mel: Tensor, target: Tensor
) -> tuple[Tensor, Tensor]:
    """Apply a transform in time to clips ``(B, F, N)`` and to their targets.

    Frame targets ``(B, K, N)`` are transformed together with the clips. Clip targets ``(B,)`` and
    ``(B, K)`` stay as they are.
    """
    if target.dim() < 3:
        return view(mel), target
    both = view(torch.cat([mel, target], dim=1))
    return both[:, : mel.shape[1]], both[:, mel.shape[1] :]


def roll(mel: Tensor, rng: Generator) -> Tensor:
    """Return the clips rotated in time by a random number of frames."""
    batch, bands, n_frames = mel.shape
    shift = torch.randint(n_frames, (batch, 1), generator=rng).to(mel.device)
    index = (torch.arange(n_frames, device=mel.device) - shift) % n_frames
    return mel.gather(2, index.unsqueeze(1).expand(batch, bands, n_frames))


def crop(mel: Tensor, rng: Generator, *, n_frames: int) -> Tensor:
    """Return ``n_frames`` successive frames of each clip, from a random start."""
    batch, bands, length = mel.shape
    start = torch.randint(length - n_frames + 1, (batch, 1), generator=rng).to(mel.device)
    index = start + torch.arange(n_frames, device=mel.device)
    return mel.gather(2, index.unsqueeze(1).expand(batch, bands, n_frames))


def gain(mel: Tensor, rng: Generator, *, amount: float) -> Tensor:
    """Return the clips louder or softer by up to ``amount``, in the spectrogram's units."""
    offset = (2 * torch.rand(mel.shape[0], 1, 1, generator=rng) - 1) * amount
    return mel + offset.to(mel.device)


def curve(mel: Tensor, rng: Generator, *, dim: int, amount: float) -> Tensor:
    """Return the clips with a random curve added along one dimension.

    Along the bands (``dim=1``) the curve is a filter, along the frames (``dim=2``) an envelope. It
    joins `CURVE_POINTS` normal values with a standard deviation of ``amount``, in the spectrogram's
    units.

    Source: Nam et al., "FilterAugment", ICASSP 2022, arXiv:2110.03282 (linear type,
    along the bands).
    """
    values = amount * torch.randn(mel.shape[0], 1, CURVE_POINTS, generator=rng)
    curves = torch.nn.functional.interpolate(
        values, size=mel.shape[dim], mode="linear", align_corners=True
    )
    return mel + curves.transpose(2, dim).to(mel.device)


def mask(mel: Tensor, rng: Generator, *, dim: int, fraction: float) -> Tensor:
    """Return each clip with a range of bands (``dim=1``) or frames (``dim=2``) set to its mean.

    The range covers up to ``fraction`` of the dimension.

    Source: Park et al., "SpecAugment", Interspeech 2019, section 2. Differs: the mean, not zero,
    fills the mask.
    """
    batch, size = mel.shape[0], mel.shape[dim]
    width = torch.rand(batch, 1, generator=rng) * fraction * size
    start = torch.rand(batch, 1, generator=rng) * (size - width)
    position = torch.arange(size).unsqueeze(0)
    inside = ((position >= start) & (position < start + width)).to(mel.device).unsqueeze(3 - dim)
    return torch.where(inside, mel.mean(dim=(1, 2), keepdim=True), mel)


def mixup(mel: Tensor, rng: Generator, *, share: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return clips mixed with other clips of the batch, with the partners and the weights.

    A ``share`` of the clips is mixed, with a weight from [0.5, 1]; the others have a weight of 1.

    Source: Zhang et al., "mixup", ICLR 2018, section 2. Differs: the weight of a clip is uniform,
    and at least one half.

    Returns:
        Mixed clips ``(B, F, N)``, index of each clip's partner ``(B,)``, weight of each clip in its
        own mix ``(B,)``; the partner has the rest.
    """
    batch = mel.shape[0]
    partner = torch.randperm(batch, generator=rng).to(mel.device)
    own = 1 - 0.5 * torch.rand(batch, generator=rng)
    own = torch.where(torch.rand(batch, generator=rng) < share, own, torch.ones(())).to(mel.device)
    weight = own.view(-1, 1, 1)
    return weight * mel + (1 - weight) * mel[partner], partner, own


def splice(mel: Tensor, rng: Generator, *, share: float) -> Tensor:
    """Return clips with a random range of frames taken from another clip of the batch.

    This changes a ``share`` of the clips. Their targets no longer fit: run the teacher again.

    Source: Yun et al., "CutMix", ICCV 2019, arXiv:1905.04899. Differs: the range covers all bands,
    because sounds follow one another in time.
    """
    batch, _, n_frames = mel.shape
    width = torch.rand(batch, 1, generator=rng) * n_frames
    width = torch.where(torch.rand(batch, 1, generator=rng) < share, width, torch.zeros(()))
    start = torch.rand(batch, 1, generator=rng) * (n_frames - width)
    position = torch.arange(n_frames).unsqueeze(0)
    inside = ((position >= start) & (position < start + width)).to(mel.device).unsqueeze(1)
    partner = torch.randperm(batch, generator=rng).to(mel.device)
    return torch.where(inside, mel[partner], mel)
