"""Permutations and bootstrap samples of groups: clips of one speaker or source stay together."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import rankdata

from frami.auditing.attacks import Flags, Floats
from frami.auditing.roc import area_under_curve

CHUNK = 250


@dataclass(frozen=True)
class PermutationTest:
    """A test of whether an area under the curve is chance.

    Attributes:
        p_value: Share of permutations with at least this area.
        deviation: Standard deviation of the area over the permutations.
    """

    p_value: float
    deviation: float


def permutation_test(
    scores: Floats,
    is_member: Flags,
    groups: NDArray[np.int64],
    rng: Generator,
    permutations: int,
    *,
    level: float = 1.0,
    two_sided: bool = False,
) -> PermutationTest:
    """Return the permutation test of the area under the curve.

    Every permutation draws anew which groups are members. Each group is on one side.

    Args:
        scores: Score of each clip, ``(S,)``.
        is_member: Whether a clip is a member, ``(S,)``.
        groups: Group of each clip, ``(S,)``.
        rng: Random numbers.
        permutations: Number of permutations; more are drawn if they cannot reach the level.
        level: The p-value below which the result counts.
        two_sided: Whether an area below 1/2 counts as well.
    """
    # The smallest p-value is one over the number of permutations.
    permutations = max(permutations, math.ceil(2 / level))
    _, first, index = np.unique(groups, return_index=True, return_inverse=True)
    sizes = np.bincount(index).astype(np.float64)
    rank_sums = np.bincount(index, weights=rankdata(scores))
    areas = []
    for start in range(0, permutations, CHUNK):
        sides = np.tile(is_member[first], (min(CHUNK, permutations - start), 1))
        sides = rng.permuted(sides, axis=1).astype(np.float64)
        members = sides @ sizes
        others = len(scores) - members
        areas.append((sides @ rank_sums - members * (members + 1) / 2) / (members * others))
    drawn, observed = np.concatenate(areas), area_under_curve(scores, is_member)
    if two_sided:
        drawn, observed = np.abs(drawn - 0.5), abs(observed - 0.5)
    deviation = float(np.sqrt(((np.concatenate(areas) - 0.5) ** 2).mean()))
    return PermutationTest(p_value(drawn, observed), deviation)


def p_value(drawn: Floats, observed: float) -> float:
    """Return the share of values that are at least the observed one; it counts as one of them."""
    return float((1 + (drawn >= observed - 1e-12).sum()) / (1 + len(drawn)))


def bootstrap_deviation(
    scores: Floats, is_member: Flags, groups: NDArray[np.int64], rng: Generator, samples: int
) -> float:
    """Return the standard deviation of the area under the curve over bootstrap samples of groups.

    Members and others are drawn separately, with replacement.
    """
    _, first, index = np.unique(groups, return_index=True, return_inverse=True)
    sides = is_member[first]
    _, position = np.unique(scores, return_inverse=True)
    areas = []
    for _ in range(samples):
        weights = np.zeros(len(first))
        for side in (sides, ~sides):
            own = np.flatnonzero(side)
            weights[own] = np.bincount(rng.integers(len(own), size=len(own)), minlength=len(own))
        clips = weights[index]
        members = np.bincount(position, weights=clips * is_member)
        others = np.bincount(position, weights=clips * ~is_member)
        below = np.cumsum(others) - others / 2
        areas.append((members @ below) / (members.sum() * others.sum()))
    return float(np.std(areas))
