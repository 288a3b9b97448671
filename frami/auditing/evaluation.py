"""What an attack found, and what it could have found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import norm

from frami.auditing.attacks import Flags, Floats
from frami.auditing.resampling import bootstrap_deviation, permutation_test
from frami.auditing.roc import (
    Rate,
    allowed_rates,
    area_under_curve,
    detectable_rate,
    effective_size,
    rate_at,
)
from frami.auditing.settings import AuditSettings


@dataclass(frozen=True)
class Scores:
    """The scores of one attack.

    Attributes:
        attack: Name of the attack.
        values: Score of each clip, ``(S,)``; higher means a member.
        reverse: Look for others in place of members: the tail of high losses.
    """

    attack: str
    values: Floats
    reverse: bool = False


@dataclass(frozen=True)
class Finding:
    """The result of one attack. Intervals hold for all tests of a subject together.

    Attributes:
        attack: Name of the attack.
        reverse: Whether members and others have changed places in the rates.
        area: Area under the ROC curve; chance is 1/2.
        area_low: Lower end of its interval.
        area_high: Upper end of its interval.
        p_value: p-value of the area, one-sided, from permutations of groups.
        confidence: Confidence of each interval.
        rates: Rates at those false-positive rates that the number of clips allows.
        detectable_area: Area that would have been seen with the power of the audit.
        detectable: For each rate, the true-positive rate that would have been seen.
        leaks: Whether the attack found leakage.
    """

    attack: str
    reverse: bool
    area: float
    area_low: float
    area_high: float
    p_value: float
    confidence: float
    rates: tuple[Rate, ...]
    detectable_area: float
    detectable: tuple[float | None, ...]
    leaks: bool


def evaluate_all(
    attacks: list[Scores],
    is_member: Flags,
    groups: NDArray[np.int64],
    settings: AuditSettings,
    rng: Generator,
) -> list[Finding]:
    """Return what each attack found; all tests together have the confidence of the settings.

    Each attack has one test for its area and one for each rate (Bonferroni).
    """
    tests = sum(1 + len(_rates(attack, is_member)) for attack in attacks)
    confidence = 1 - (1 - settings.confidence) / max(1, tests)
    return [evaluate(attack, is_member, groups, settings, confidence, rng) for attack in attacks]


def _rates(attack: Scores, is_member: Flags) -> list[float]:
    negatives = is_member if attack.reverse else ~is_member
    return allowed_rates(int(negatives.sum()))


def evaluate(
    attack: Scores,
    is_member: Flags,
    groups: NDArray[np.int64],
    settings: AuditSettings,
    confidence: float,
    rng: Generator,
) -> Finding:
    """Return what one attack found, with a confidence for each of its tests."""
    values = -attack.values if attack.reverse else attack.values
    positive = ~is_member if attack.reverse else is_member
    area = area_under_curve(values, positive)
    level = 1 - confidence
    test = permutation_test(values, positive, groups, rng, settings.permutations, level=level)
    spread = bootstrap_deviation(values, positive, groups, rng, settings.bootstrap)
    margin = float(norm.ppf((1 + confidence) / 2)) * spread
    rates = [rate_at(values, positive, groups, f, confidence) for f in _rates(attack, is_member)]
    # Where all clips of a group are on one side, the groups count as if their clips were alike.
    n_positive, n_negative = (
        effective_size(np.zeros(len(own), bool), own)
        for own in (groups[positive], groups[~positive])
    )
    needed = float(norm.ppf(confidence) + norm.ppf(settings.power)) * test.deviation
    area_leaks = test.p_value <= level and area - margin > 0.5
    return Finding(
        attack=attack.attack,
        reverse=attack.reverse,
        area=area,
        area_low=max(0.0, area - margin),
        area_high=min(1.0, area + margin),
        p_value=test.p_value,
        confidence=confidence,
        rates=tuple(rates),
        detectable_area=min(1.0, 0.5 + needed),
        detectable=tuple(
            detectable_rate(n_positive, n_negative, rate.at, confidence, settings.power)
            for rate in rates
        ),
        leaks=area_leaks or any(rate.epsilon > 0 for rate in rates),
    )
