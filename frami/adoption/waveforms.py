"""Waveform models: find the spectrogram that a module computes or takes inside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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

EQUAL = 0.9999  # correlation from which on features differ by mean and deviation alone
SIMILAR = 0.8  # correlation from which on a module seems to compute the features
KINDS = {
    False: "the front end's features",
    True: "the front end's band powers, not their logarithm",
}


@dataclass(frozen=True)
class Features:
    """A tensor inside that has the shape of the front end's spectrogram.

    Attributes:
        name: Its selector (`frami.models.hooks`): the output of a module, or its input.
        layout: Its axes.
        power: Whether it is band powers, whose logarithm is taken later.
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
    """Return the adoption of a waveform model with the place of the features inside.

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
            "The module takes waveforms, and the front end's features were not found inside: "
            "waveforms are rendered from spectrograms, without their phases."
            + _describe_similar(trial, called)
        )
        return adoption
    report(
        f"The module takes waveforms; {found.name} is {KINDS[found.power]} (difference "
        f"{found.difference:.2g}), and is replaced by them."
    )
    return replace(
        adoption,
        features=found.name,
        features_layout=found.layout,
        features_power=found.power,
    )


def _describe_similar(trial: Trial, called: Calling) -> str:
    """Return a sentence on the input of a module that resembles the front end's values, if any."""
    inputs = [f"{name}:input" for name in called.long.started]
    values = trial.features(called.n_frames)
    similar = _candidates(trial, called, inputs, values, power=False)
    best = max(similar, key=lambda found: found.alike, default=None)
    if best is None or best.alike < SIMILAR:
        return ""
    found = f" {best.name} resembles them (correlation {best.alike:.3f}): name the `front_end`"
    if best.alike < EQUAL:
        return f"{found} that gives its values."
    x = axes.from_layout(called.long.tensors[best.name], best.layout)
    mean, std = _standardization(trial.front_end, x, values)
    return f"{found} with the mean {mean:g} and the deviation {std:g}, which gives its values."


def _standardization(front_end: FrontEnd, x: Tensor, values: Tensor) -> tuple[float, float]:
    """Return mean and deviation of a front end whose values are ``x`` in place of ``values``."""
    x, values = x.double(), values.double()
    slope = ((x - x.mean()) * (values - values.mean())).mean() / values.var(correction=0)
    std = front_end.std / float(slope)
    mean = front_end.mean - std * float(x.mean() - slope * values.mean())
    return round(mean, 3), round(std, 4)


def find_features(trial: Trial, calling: Calling, named: str, tolerance: float) -> Features | None:
    """Return the tensor inside that has the front end's values, or None if there is none.

    The output of a module is preferred: first one that has the values, then one that has band
    powers, so that the logarithm is taken after it. Features that no module computes are the input
    of a module.

    Args:
        trial: The module and its input.
        calling: How it is called.
        named: A module that the user names, or its input; empty to find one.
        tolerance: Largest difference from the front end's values.

    Raises:
        UsageError: What the user names is something else, or a module gives features that resemble
            the front end's but differ.
    """
    values = trial.features(calling.n_frames)
    # The outer one of two modules with equal output ends last.
    outputs = [named] if named else [*reversed(calling.long.ended)]
    candidates = [
        *_candidates(trial, calling, outputs, values, power=False),
        *_candidates(trial, calling, outputs, values, power=True),
    ]
    inputs = [] if named else [f"{name}:input" for name in calling.long.started]
    for found in (*candidates, *_candidates(trial, calling, inputs, values, power=False)):
        if found.difference <= tolerance:
            return found
    best = min(candidates, key=lambda found: found.difference, default=None)
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


def _candidates(
    trial: Trial, calling: Calling, names: Sequence[str], values: Tensor, *, power: bool
) -> Iterator[Features]:
    """Yield the tensors with these selectors that have the shape of the values ``(B, F, N)``."""
    tensors = calling.long.tensors
    for name, layout in product(names, axes.SPECTROGRAM_LAYOUTS):
        x = as_values(trial.front_end, tensors[name], layout, power) if name in tensors else None
        if x is not None and x.shape == values.shape:
            yield Features(name, layout, power, *_compare(x, values))


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
