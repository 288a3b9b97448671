"""Waveform models: find the module inside that computes the spectrogram."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor

from frami.adoption.calling import Calling
from frami.adoption.trial import Trial
from frami.audio import compression
from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.models import axes
from frami.models.foreign import Adoption

SIMILAR = 0.8  # correlation from which on a module seems to compute the features
KINDS = {
    False: "the front end's features",
    True: "the front end's band powers, not their logarithm",
}


@dataclass(frozen=True)
class Features:
    """A module whose output has the shape of the front end's spectrogram.

    Attributes:
        name: Name of the module.
        layout: Axes of its output.
        power: Whether the output is band powers, whose logarithm is taken outside of the module.
        difference: Largest difference from the front end's values, relative to their deviation.
        alike: Correlation with the front end's values.
    """

    name: str
    layout: str
    power: bool
    difference: float
    alike: float


def with_features(
    trial: Trial,
    called: Calling,
    adoption: Adoption,
    named: str,
    tolerance: float,
    report: Callable[[str], None],
) -> Adoption:
    """Return the adoption of a waveform model with the module inside that computes features.

    Args:
        trial: The module and its input.
        called: How it is called.
        adoption: The adoption so far.
        named: A module that the user names; empty to find one.
        tolerance: Largest difference between its values and the front end's.
        report: Called with a line on what was found.
    """
    if not axes.takes_waveform(called.layout):
        if named:
            raise UsageError("`features` is for a module that takes waveforms; leave it out.")
        return adoption
    found = find_features(trial, called, named, tolerance)
    if found is None:
        if trial.front_end.function:
            raise UsageError(
                "The module takes waveforms, which cannot be rendered from the features of a "
                "function. Name the module inside that computes them with `features`."
            )
        report(
            "The module takes waveforms, and no module inside gives the front end's features: "
            "waveforms are rendered from spectrograms, without their phases. Put the code that "
            "computes the features into a module of its own, if there is such code."
        )
        return adoption
    report(
        f"The module takes waveforms; {found.name} computes {KINDS[found.power]} (difference "
        f"{found.difference:.2g}), and is replaced by them."
    )
    return replace(
        adoption,
        features=found.name,
        features_layout=found.layout,
        features_power=found.power,
    )


def find_features(trial: Trial, calling: Calling, named: str, tolerance: float) -> Features | None:
    """Return the module that gives the front end's values, or None if there is none.

    A module also counts if it gives the band powers, so that the logarithm is taken after it.

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
    # The outer one of two modules with equal output ends last.
    names = [named] if named else [*reversed(calling.long.ended)]
    candidates = []
    for name, layout, power in product(names, axes.SPECTROGRAM_LAYOUTS, KINDS):
        if name in calling.long.tensors:
            x = as_values(trial.front_end, calling.long.tensors[name], layout, power)
            if x is not None and x.shape == values.shape:
                candidates.append(Features(name, layout, power, *_compare(x, values)))
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


def as_values(front_end: FrontEnd, x: Tensor, layout: str, power: bool) -> Tensor | None:
    """Return features inside a module as a front end's values ``(B, F, N)``; None if impossible.

    Args:
        front_end: The front end.
        x: The features.
        layout: Their axes.
        power: Whether they are band powers.
    """
    if x.dim() != len(layout) or (layout[1] in "13" and x.shape[1] != int(layout[1])):
        return None
    x = axes.from_layout(x, layout)
    if not power:
        return x
    if front_end.function or x.shape[1] != front_end.n_bands or not bool((x >= 0).all()):
        return None
    return (compression.compress(front_end, x) - front_end.mean) / front_end.std


def _compare(x: Tensor, values: Tensor) -> tuple[float, float]:
    """Return the largest difference in deviations, and the correlation."""
    pair = torch.stack([x.flatten().double(), values.flatten().double()])
    alike = float(torch.corrcoef(pair)[0, 1].nan_to_num())
    return relative_difference(x, values), alike


def relative_difference(x: Tensor, values: Tensor) -> float:
    """Return the largest difference from a front end's values, relative to their deviation.

    Decibels far below the loudest value of a frame are rounding noise.
    """
    return float((x - values).abs().max() / values.std().clamp_min(1.0))
