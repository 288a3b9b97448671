"""Statistics of a front end's values for random sounds, which need no recording."""

from __future__ import annotations

from functools import cache

import numpy as np
from torch import Tensor

from frami.audio.frontend import FrontEnd
from frami.audio.synthesizer import random_sounds
from frami.core import seeds
from frami.core.seeds import Stream
from frami.inversion.hooks import Moments
from frami.inversion.transformer_losses import clip_statistics

N_SOUNDS = 256
SECONDS = 1.0


def random_sound_clips(front_end: FrontEnd) -> Tensor:
    """Return the spectrograms of `N_SOUNDS` random sounds, ``(N_SOUNDS, F, N)``."""
    rng = np.random.default_rng(seeds.make_rng(0, Stream.RANDOM_SOUNDS).initial_seed())
    n_samples = round(SECONDS * front_end.sample_rate)
    return front_end(random_sounds(rng, N_SOUNDS, n_samples, front_end.sample_rate))


@cache
def random_sound_statistics(front_end: FrontEnd) -> dict[str, Moments]:
    """Return the statistics of random sounds, see `transformer_losses.clip_statistics`."""
    return clip_statistics(random_sound_clips(front_end))
