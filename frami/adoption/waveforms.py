"""Waveform models: find the module inside that computes the spectrogram."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from frami.adoption.calling import Calling
from frami.adoption.trial import Trial
from frami.core.errors import UsageError
from frami.models import axes

SIMILAR = 0.8  # correlation from which on a module seems to compute the features


@dataclass(frozen=True)
class Features:
    """A module whose output has the shape of the front end's spectrogram.

    Attributes:
        name: Name of the module.
        layout: Axes of its output.
        difference: Largest difference from the front end's values, relative to their deviation.
        alike: Correlation with the front end's values.
    """

    name: str
    layout: str
    difference: float
    alike: float


def find_features(trial: Trial, calling: Calling, named: str, tolerance: float) -> Features | None:
    """Return the module that gives the front end's values, or None if there is none.

    Args:
        trial: The module and its input.
        calling: How it is called.
        named: A module that the user names; empty to find one.
        tolerance: Largest difference between its values and the front end's.

    Raises:
        UsageError: The module that the user names gives something else, or a module gives features
            that resemble the front end's but differ.
    """
    values = trial.features(calling.n_frames)
    names = [named] if named else calling.long.ended
    candidates = [
        Features(name, layout, *_compare(calling.long.tensors[name], values, layout))
        for name, layout in product(names, axes.SPECTROGRAM_LAYOUTS)
        if name in calling.long.tensors and _has_shape(calling.long.tensors[name], values, layout)
    ]
    best = min(candidates, key=lambda found: found.difference, default=None)
    if best is not None and best.difference <= tolerance:
        return best
    shape = f"(frames {values.shape[2]}, bands {values.shape[1]})"
    if named and best is None:
        raise UsageError(f"`features` is {named!r}, whose output has not the shape {shape}.")
    if best is not None and (named or best.alike > SIMILAR):
        raise UsageError(
            f"The module {best.name!r} computes features of the front end's shape, but they differ "
            f"by up to {best.difference:.2g} deviations, and `tolerance` allows {tolerance:g} "
            f"(correlation {best.alike:.3f}). Name the `front_end` that it computes."
        )
    return None


def _has_shape(x: Tensor, values: Tensor, layout: str) -> bool:
    return x.shape == axes.to_layout(values, layout).shape


def _compare(x: Tensor, values: Tensor, layout: str) -> tuple[float, float]:
    """Return the largest difference in deviations, and the correlation."""
    values = axes.to_layout(values, layout)
    difference = relative_difference(x, values)
    pair = torch.stack([x.flatten().double(), values.flatten().double()])
    return difference, float(torch.corrcoef(pair)[0, 1].nan_to_num())


def relative_difference(x: Tensor, values: Tensor) -> float:
    """Return the largest difference from a front end's values, relative to their deviation.

    Decibels far below the loudest value of a frame are rounding noise.
    """
    return float((x - values).abs().max() / values.std().clamp_min(1.0))
