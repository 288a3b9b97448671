"""Differential privacy of released sums: the Gaussian mechanism."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from frami.core.environment import needs_extra
from frami.core.errors import UsageError


@dataclass(frozen=True)
class Guarantee:
    """A guarantee of (epsilon, delta)-differential privacy for each clip.

    Attributes:
        epsilon: Above 0; smaller is more private.
        delta: In (0, 1), below one over the number of clips.
        noise_multiplier: Standard deviation of the noise, divided by the sensitivity.
    """

    epsilon: float
    delta: float
    noise_multiplier: float


def gaussian_guarantee(epsilon: float | None, delta: float | None, clips: int) -> Guarantee | None:
    """Return the guarantee for an epsilon and a delta; None if neither is given.

    The noise is calibrated exactly for one release (Balle and Wang, "Improving the Gaussian
    Mechanism for Differential Privacy", ICML 2018), by the package dp-accounting.

    Raises:
        UsageError: One of the two is missing or out of range, or the package is not installed.
    """
    if epsilon is None and delta is None:
        return None
    if epsilon is None or delta is None:
        raise UsageError("`epsilon` and `delta` belong together: give both, or neither.")
    if not 0 < epsilon <= 100:
        raise UsageError(f"`epsilon` is {epsilon}; above 0 and at most 100 is allowed.")
    if not 0 < delta < 1 / clips:
        raise UsageError(
            f"`delta` is {delta}; above 0 and below one over the number of clips, "
            f"{1 / clips:.2g}, is allowed."
        )
    sigma = import_accounting().get_sigma_gaussian(epsilon, delta)
    return Guarantee(epsilon, delta, float(sigma))


def import_accounting() -> Any:
    """Return the module dp_accounting.

    Raises:
        UsageError: The extra ``privacy`` is not installed.
    """
    with needs_extra("privacy", "Noise with a guarantee needs dp-accounting"):
        return importlib.import_module("dp_accounting")
