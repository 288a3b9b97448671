"""Random recording conditions of synthetic clips: level, filter, envelope, and noise texture."""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator, Tensor

from frami.audio import filterbanks, transforms
from frami.audio.frontend import FrontEnd


def sample_offset(
    shape: tuple[int, int, int], rng: Generator, *, level: float, filter: float, envelope: float
) -> Tensor:
    """Return random levels, frequency responses and envelopes, to be added to clips ``(B, F, N)``.

    Args:
        shape: Shape of the clips.
        rng: Source of the random numbers.
        level: Standard deviation of the levels, in the spectrogram's units.
        filter: Standard deviation of the random curve along the bands.
        envelope: Standard deviation of the random curve along time.
    """
    offset = (level * torch.randn(shape[0], 1, 1, generator=rng)).expand(shape)
    offset = transforms.curve(offset, rng, dim=1, amount=filter)
    return transforms.curve(offset, rng, dim=2, amount=envelope)


def sample_noise_texture(
    shape: tuple[int, int, int], rng: Generator, front_end: FrontEnd
) -> Tensor:
    """Return the log power of noise relative to its mean, ``(B, F, N)``, in spectrogram units.

    The power of noise in a band follows a gamma distribution, whose shape parameter is the
    effective number of Fourier bins in the band.
    """
    bins = filterbanks.effective_bins(front_end).view(1, -1, 1)
    # torch draws gamma variables from its global generator only.
    seed = int(torch.randint(2**62, (), generator=rng))
    power = np.random.default_rng(seed).standard_gamma(
        bins.float().numpy(), shape, dtype=np.float32
    )
    return (torch.from_numpy(power) / bins).clamp_min(1e-4).log() / front_end.std
