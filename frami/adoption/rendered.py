"""Waveform models: how often a rendered waveform gets the answer of the sound itself."""

from __future__ import annotations

import numpy as np
import torch

from frami.audio.synthesizer import random_sounds
from frami.core.runtime import Runtime
from frami.models.foreign import ForeignNetwork
from frami.models.model import Model
from frami.models.rendering import samples_of

N_SOUNDS = 48
BATCH = 8
SECONDS = 1.0  # of a sound, if the model's clips are that long


@torch.no_grad()
def share_of_same_class(model: Model, runtime: Runtime, seed: int) -> float | None:
    """Return the share of random sounds whose rendered waveform gets the class of the sound.

    Args:
        model: The model.
        runtime: Device that its network is on.
        seed: Seed of the sounds.

    Returns:
        The share; None for a model whose waveforms are not rendered from spectrograms.
    """
    network, front_end = model.network, model.front_end
    if not isinstance(network, ForeignNetwork) or not network.adoption.renders_waveforms:
        return None
    n_frames = min(front_end.n_frames(SECONDS), model.frame_range[1])
    n_frames = network.adoption.fitting_frames(n_frames)
    n_samples = samples_of(front_end, n_frames)
    rng, same = np.random.default_rng(seed), 0
    for _ in range(N_SOUNDS // BATCH):
        sounds = random_sounds(rng, BATCH, n_samples, front_end.sample_rate).to(runtime.device)
        itself = network.answer_waveforms(sounds)
        rendered = network(front_end(sounds)).logits
        same += int((itself.argmax(dim=1) == rendered.argmax(dim=1)).sum())
    return same / N_SOUNDS
