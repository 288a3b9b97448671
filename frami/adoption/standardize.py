"""Mean and deviation of a front end's values, from a batch norm or from random sounds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from frami.adoption.calling import Calling
from frami.adoption.trial import Trial
from frami.audio.frontend import FrontEnd
from frami.audio.synthesizer import random_sounds
from frami.inversion.hooks import batch_norms

FLAT = 1e-3  # smallest deviation
N_SOUNDS = 48  # of one second


@dataclass(frozen=True)
class Standardization:
    """A standardized front end, and how its values become those of the given one.

    Attributes:
        front_end: The front end.
        scale: Factor from its values to those of the given front end.
        shift: Added after the multiplication.
        source: Where mean and deviation come from, for a sentence.
    """

    front_end: FrontEnd
    scale: float
    shift: float
    source: str


def standardize(trial: Trial, calling: Calling) -> Standardization:
    """Return the front end with mean and deviation near those of its training data.

    A front end that is standardized already stays as it is.
    """
    given = trial.front_end
    if given.mean != 0 or given.std != 1:
        return Standardization(given, 1.0, 0.0, "the front end itself")
    moments = _first_batch_norm(trial, calling)
    source = "the first batch norm"
    if moments is None:
        rng = np.random.default_rng(trial.seed)
        sounds = random_sounds(rng, N_SOUNDS, given.sample_rate, given.sample_rate)
        values = given(sounds)
        moments, source = (float(values.mean()), float(values.std())), "random sounds"
    mean, std = moments[0], max(moments[1], FLAT)
    standardized = replace(given, mean=mean, std=std)
    return Standardization(standardized, std, mean, source)


def describe_standardization(found: Standardization) -> list[str]:
    """Return a sentence on mean and deviation, unless the front end had its own."""
    if (found.scale, found.shift) == (1.0, 0.0):
        return []
    return [
        f"frami standardizes clips by the mean {found.shift:.3g} and the deviation "
        f"{found.scale:.3g} of {found.source}. It undoes this before the network, which still "
        f"receives the raw values."
    ]


def _first_batch_norm(trial: Trial, calling: Calling) -> tuple[float, float] | None:
    """Return mean and deviation over all bands of a batch norm that takes the bands themselves."""
    norms = batch_norms(trial.module)
    first = next((name for name in calling.long.started if name in norms), None)
    values = trial.features(calling.n_frames)
    if first is None or f"{first}:input" not in calling.long.tensors:
        return None
    layer, x = norms[first], calling.long.tensors[f"{first}:input"].cpu()
    is_fresh = not bool(layer.get_buffer("running_mean").any())
    if is_fresh or x.numel() != values.numel() or not _same_values(x, values):
        return None
    return _moments(layer)


def _same_values(x: torch.Tensor, values: torch.Tensor) -> bool:
    """Return whether two tensors have the same values in another order."""
    return torch.allclose(x.flatten().sort()[0], values.flatten().sort()[0], atol=1e-2)


def _moments(layer: nn.Module) -> tuple[float, float]:
    mean, var = layer.get_buffer("running_mean").cpu(), layer.get_buffer("running_var").cpu()
    spread = mean.var(correction=0) if len(mean) > 1 else mean.new_zeros(())
    return float(mean.mean()), float((var.mean() + spread).sqrt())
