"""Error rates of an attack at a threshold, with exact intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, rankdata

from frami.auditing.attacks import Flags, Floats

FALSE_POSITIVE_RATES = (0.001, 0.01, 0.1)
CLIPS_PER_FALSE_POSITIVE = 3  # the rule of three: 3 / f others for a rate of f


@dataclass(frozen=True)
class Rate:
    """The rates of an attack at one threshold.

    Attributes:
        at: The false-positive rate that the threshold was chosen for.
        tpr: Share of members above the threshold.
        tpr_low: Lower end of its interval.
        tpr_high: Upper end of its interval.
        fpr: Share of others above the threshold.
        fpr_high: Upper end of the interval of the false-positive rate.
        epsilon: Lower bound on epsilon that follows, 0 if there is none.
    """

    at: float
    tpr: float
    tpr_low: float
    tpr_high: float
    fpr: float
    fpr_high: float
    epsilon: float


def area_under_curve(scores: Floats, is_member: Flags) -> float:
    """Return the probability that a member has a higher score than another clip; ties count 1/2."""
    return float(areas_under_curves(scores, is_member))


def areas_under_curves(scores: Floats, is_member: Flags | Floats) -> Floats:
    """Return the `area_under_curve` of each column of scores and sides, both ``(S, P)``."""
    members = is_member.sum(axis=0)
    rank_sums = (rankdata(scores, axis=0) * is_member).sum(axis=0)
    areas: Floats = (rank_sums - members * (members + 1) / 2) / (
        members * (len(is_member) - members)
    )
    return areas


def clopper_pearson(hits: float, trials: float, confidence: float) -> tuple[float, float]:
    """Return the exact interval of a proportion; the numbers may be fractions.

    Source: Clopper and Pearson, "The Use of Confidence or Fiducial Limits", Biometrika 1934.

    >>> low, high = clopper_pearson(0, 300, 0.9)
    >>> low, round(high, 3)
    (0.0, 0.01)
    """
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, hits, trials - hits + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, trials - hits)) if hits < trials else 1.0
    return low, high


def effective_size(hits: Flags, groups: NDArray[np.int64]) -> float:
    """Return how many independent clips estimate a share as well as these clips in groups.

    It is the number of clips divided by the design effect: the variance of the share between
    groups, over that of independent clips. If all clips agree, the variance does not show it: the
    clips of a group then count as one.

    Source: Korn and Graubard, "Confidence Intervals for Proportions With Small Expected Number of
    Positive Counts Estimated From Survey Data", Survey Methodology 1998.
    """
    count, share = len(hits), float(hits.mean())
    _, index = np.unique(groups, return_inverse=True)
    sizes = np.bincount(index).astype(np.float64)
    if share in (0.0, 1.0) or len(sizes) < 2:
        return count**2 / float((sizes**2).sum())
    residuals = np.bincount(index, weights=hits - share)
    between = float((residuals**2).sum()) * len(sizes) / (len(sizes) - 1) / count**2
    return count / max(1.0, between / (share * (1 - share) / (count - 1)))


def allowed_rates(n_others: int) -> list[float]:
    """Return the false-positive rates that this number of others can show.

    >>> allowed_rates(400)
    [0.01, 0.1]
    """
    return [f for f in FALSE_POSITIVE_RATES if n_others >= round(CLIPS_PER_FALSE_POSITIVE / f)]


def rate_at(
    scores: Floats, is_member: Flags, groups: NDArray[np.int64], f: float, confidence: float
) -> Rate:
    """Return the rates at the lowest threshold with a false-positive rate of at most f.

    The intervals of both rates are those of Clopper and Pearson on the `effective_size`. The bound
    ``epsilon >= log(TPR / FPR)`` is that of Kairouz et al., "The Composition Theorem for
    Differential Privacy", ICML 2015, with delta 0, from the unfavorable end of both intervals.
    """
    others, members = scores[~is_member], scores[is_member]
    allowed = math.floor(f * len(others) + 1e-9)
    threshold = np.sort(others)[::-1][allowed]
    true, false = members > threshold, others > threshold
    tpr, fpr = float(true.mean()), float(false.mean())
    n_members = effective_size(true, groups[is_member])
    n_others = effective_size(false, groups[~is_member])
    tpr_low, tpr_high = clopper_pearson(tpr * n_members, n_members, confidence)
    fpr_high = clopper_pearson(fpr * n_others, n_others, confidence)[1]
    epsilon = max(0.0, math.log(tpr_low / fpr_high)) if tpr_low > 0 else 0.0
    return Rate(f, tpr, tpr_low, tpr_high, fpr, fpr_high, epsilon)


def detectable_rate(
    n_members: float, n_others: float, f: float, confidence: float, power: float
) -> float | None:
    """Return the true-positive rate that would have been seen with a probability of ``power``.

    Seen means that the lower end of its interval is above the upper end of the interval of the
    false-positive rate. None if no rate would have been.
    """
    false = math.floor(f * n_others + 1e-9)
    ceiling = clopper_pearson(false, n_others, confidence)[1]
    trials = math.floor(n_members)
    for hits in range(1, trials + 1):
        if clopper_pearson(hits, trials, confidence)[0] > ceiling:
            # P(Binomial(trials, t) >= hits) is the distribution function of a beta at t.
            return float(beta.ppf(power, hits, trials - hits + 1))
    return None
