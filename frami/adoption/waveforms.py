"""Waveform models: find the module inside that computes the spectrogram."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from torch import Tensor

from frami.adoption.calling import Calling
from frami.adoption.trial import Trial
from frami.core.errors import UsageError
from frami.models import axes


@dataclass(frozen=True)
class Features:
    """A module whose output has the shape of the front end's spectrogram.

    Attributes:
        name: Name of the module.
        layout: Axes of its output.
        difference: Largest difference from the front end's values.
    """

    name: str
    layout: str
    difference: float


def find_features(trial: Trial, calling: Calling, named: str, tolerance: float) -> Features | None:
    """Return the module that gives the front end's values, or None if there is none.

    Args:
        trial: The module and its input.
        calling: How it is called.
        named: A module that the user names; empty to find one.
        tolerance: Largest difference between its values and the front end's.

    Raises:
        UsageError: The module that the user names gives something else.
    """
    values = trial.features(calling.n_frames)
    names = [named] if named else calling.long.ended
    candidates = [
        Features(name, layout, _difference(calling.long.tensors[name].cpu(), values, layout))
        for name, layout in product(names, axes.SPECTROGRAM_LAYOUTS)
        if name in calling.long.tensors and _has_shape(calling.long.tensors[name], values, layout)
    ]
    best = min(candidates, key=lambda found: found.difference, default=None)
    if best is not None and best.difference <= tolerance:
        return best
    shape = f"(frames {values.shape[2]}, bands {values.shape[1]})"
    if named and best is None:
        raise UsageError(f"`features` is {named!r}, whose output has not the shape {shape}.")
    if named and best is not None:
        raise UsageError(
            f"`features` is {named!r}, but its values differ from those of the front end by up to "
            f"{best.difference:.3g}, and {tolerance:g} is allowed. Name its `front_end`."
        )
    return None


def _has_shape(x: Tensor, values: Tensor, layout: str) -> bool:
    return x.shape == axes.to_layout(values, layout).shape


def _difference(x: Tensor, values: Tensor, layout: str) -> float:
    return float((x - axes.to_layout(values, layout)).abs().max())
