"""What a clip starts from: a random level, filter and envelope, and a noise texture or a sound."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Generator, Tensor

from frami.audio import compression, filterbanks, transforms
from frami.audio.frontend import FrontEnd
from frami.core.settings import setting
from frami.inversion.random_sounds import spectrograms

NOISE_SECONDS = 4.0


@dataclass(frozen=True, kw_only=True)
class ConditionSettings:
    """Strengths of the conditions; 0 turns one off."""

    level: float = setting(
        0.4, "standard deviation of the clips' random levels, in standardized units", low=0
    )
    filter: float = setting(
        0.4, "standard deviation of the random frequency response, in standardized units", low=0
    )
    envelope: float = setting(
        0.2, "standard deviation of the random envelope over time, in standardized units", low=0
    )
    noise_texture: float = setting(
        1.0, "strength of the noise texture; 1 is the strength in a noise spectrogram", low=0
    )
    sounds: float = setting(
        0.5, "share of the clips that start at the spectrogram of a random sound", low=0, high=1
    )
    sound_choices: int = setting(
        4,
        "random sounds for each clip that starts at one; the teacher chooses those that fit the "
        "targets",
        low=1,
        high=64,
    )


def sample_conditions(
    shape: tuple[int, int, int],
    rng: Generator,
    settings: ConditionSettings,
    front_end: FrontEnd,
    choose: Callable[[Tensor, int], Tensor],
) -> tuple[Tensor, Tensor]:
    """Return random offsets and the noise texture of clips, each ``(B, F, N)``.

    The first clips, a share ``sounds`` of them, start at a random sound: its spectrogram is part of
    their offset. A sound has a texture of its own, so theirs is 0.

    Args:
        shape: Shape of the clips.
        rng: Source of the random numbers.
        settings: Strengths of the conditions.
        front_end: Front end of the clips.
        choose: Takes the sounds, ``sound_choices`` for each clip that starts at one, and the number
            of these clips; returns one sound for each. It is not called if there is no choice.
    """
    offset = sample_offset(
        shape,
        rng,
        level=settings.level,
        filter=settings.filter,
        envelope=settings.envelope,
        front_end=front_end,
    )
    texture = settings.noise_texture * sample_noise_texture(shape, rng, front_end)
    count = round(settings.sounds * shape[0])
    if count:
        seed = int(torch.randint(2**62, (), generator=rng))
        n_sounds = count * settings.sound_choices
        sounds = spectrograms((n_sounds, *shape[1:]), front_end, rng, seed)
        sounds = choose(sounds, count) if n_sounds > count else sounds
        offset = torch.cat([offset[:count] + sounds, offset[count:]])
        texture = torch.cat([torch.zeros_like(sounds), texture[count:]])
    return offset, texture


def sample_offset(
    shape: tuple[int, int, int],
    rng: Generator,
    *,
    level: float,
    filter: float,
    envelope: float,
    front_end: FrontEnd | None = None,
) -> Tensor:
    """Return random levels, frequency responses and envelopes, to be added to clips ``(B, F, N)``.

    Args:
        shape: Shape of the clips.
        rng: Source of the random numbers.
        level: Standard deviation of the levels, in the spectrogram's units.
        filter: Standard deviation of the random curve along the bands.
        envelope: Standard deviation of the random curve along time.
        front_end: Front end of the clips. For MFCCs, the offset is that of the bands under them,
            scaled to the same mean square.
    """
    batch, rows, n_frames = shape
    bands = front_end.n_bands if front_end else rows
    offset = (level * torch.randn(batch, 1, 1, generator=rng)).expand(batch, bands, n_frames)
    offset = transforms.curve(offset, rng, dim=1, amount=filter)
    offset = transforms.curve(offset, rng, dim=2, amount=envelope)
    if front_end is None or not front_end.mfcc_bands:
        return offset
    return math.sqrt(rows / bands) * compression.to_rows(front_end, offset)


def sample_noise_texture(
    shape: tuple[int, int, int], rng: Generator, front_end: FrontEnd
) -> Tensor:
    """Return the log power of noise relative to its mean, ``(B, F, N)``, in spectrogram units.

    The power of noise in a band follows a gamma distribution, whose shape parameter is the
    effective number of Fourier bins in the band. Bands are drawn independently. Features of the
    user's own function are normal here, with the deviations that they have on white noise.
    """
    if front_end.function:
        return _noise_deviations(front_end) * torch.randn(shape, generator=rng)
    bins = filterbanks.effective_bins(front_end).view(1, -1, 1)
    # torch draws gamma variables from its global generator only.
    seed = int(torch.randint(2**62, (), generator=rng))
    power = np.random.default_rng(seed).standard_gamma(
        bins.float().numpy(), (shape[0], front_end.n_bands, shape[2]), dtype=np.float32
    )
    logarithm = (torch.from_numpy(power) / bins).clamp_min(1e-4).log()
    values = compression.LOGARITHMS[front_end.log].per_neper * logarithm
    return compression.to_rows(front_end, values) / front_end.std


@cache
def _noise_deviations(front_end: FrontEnd) -> Tensor:
    """Return the deviation of each row over the frames of white noise, ``(F, 1)``."""
    n_samples = round(NOISE_SECONDS * front_end.sample_rate)
    noise = 2 * torch.rand(n_samples, generator=torch.Generator().manual_seed(0)) - 1
    return front_end(noise).std(dim=1, keepdim=True)
