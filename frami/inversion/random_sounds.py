"""Spectrograms of random sounds, which need no recording, and their statistics."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Generator, Tensor

from frami.audio.frontend import FrontEnd
from frami.audio.synthesizer import random_sounds, sound
from frami.core import seeds
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.data.clips import crop_or_tile
from frami.inversion.hooks import Moments
from frami.inversion.transformer_losses import clip_statistics
from frami.models.model import Model

N_SOUNDS = 256
SECONDS = 1.0
# Lower log-probabilities count as this one: a class that no sound fits may get any sound.
HOPELESS = -8.0

Waveforms = Callable[[np.random.Generator, int, int], NDArray[np.float32]]
"""Takes random numbers, a number of samples and a sample rate; returns one waveform ``(T,)``."""


def spectrograms(
    shape: tuple[int, int, int],
    front_end: FrontEnd,
    rng: Generator,
    seed: int,
    waveforms: Waveforms = sound,
) -> Tensor:
    """Return spectrograms of random waveforms, ``shape`` is ``(B, F, N)``.

    Args:
        shape: Shape of the result; F is that of the front end.
        front_end: Front end of the spectrograms.
        rng: Random numbers that shift a spectrogram of more than N frames.
        seed: Seed of the waveforms.
        waveforms: Makes a waveform; by default a sound of a random program.
    """
    batch, _, n_frames = shape
    n_samples = max(1, round(front_end.seconds(n_frames) * front_end.sample_rate))
    random = np.random.default_rng(seed)
    waves = (waveforms(random, n_samples, front_end.sample_rate) for _ in range(batch))
    return torch.stack(
        [crop_or_tile(front_end(torch.from_numpy(wave)), n_frames, rng) for wave in waves]
    )


def random_sound_clips(front_end: FrontEnd) -> Tensor:
    """Return the spectrograms of `N_SOUNDS` random sounds, ``(N_SOUNDS, F, N)``."""
    rng = np.random.default_rng(seeds.make_rng(0, Stream.RANDOM_SOUNDS).initial_seed())
    n_samples = round(SECONDS * front_end.sample_rate)
    return front_end(random_sounds(rng, N_SOUNDS, n_samples, front_end.sample_rate))


@cache
def random_sound_statistics(front_end: FrontEnd) -> dict[str, Moments]:
    """Return the statistics of random sounds, see `transformer_losses.clip_statistics`."""
    return clip_statistics(random_sound_clips(front_end))


def choose_sounds(teacher: Model, sounds: Tensor, target: Tensor, runtime: Runtime) -> Tensor:
    """Return the sounds that fit the targets best by the teacher's answers, one for each.

    The assignment has the highest mean log-likelihood of the targets; no sound is used twice.

    Args:
        teacher: The teacher.
        sounds: Spectrograms ``(S, F, N)``. S is at least B.
        target: Classes ``(B,)``, tags ``(B, K)``, or activities of events ``(B, K, N)``. Of
            activities, only the tags count.
        runtime: Device and precision.
    """
    with torch.no_grad(), runtime.autocast():
        logits = teacher.network(sounds.to(runtime.device)).logits.float().cpu()
    target = target.cpu()
    if target.dim() == 1:
        fit = logits.log_softmax(dim=1).clamp_min(HOPELESS)[:, target]
    else:
        tags = target.amax(dim=2) if target.dim() == 3 else target
        fit = logits @ tags.T - F.softplus(logits).sum(dim=1, keepdim=True)
    chosen, places = linear_sum_assignment(fit.numpy(), maximize=True)
    return sounds[torch.from_numpy(chosen[np.argsort(places)])]
