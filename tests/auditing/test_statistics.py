"""Rates, intervals, permutations and power, against slow references and simulations."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.random import Generator
from scipy.stats import binom, norm

from frami.auditing.evaluation import Scores, evaluate_all
from frami.auditing.resampling import bootstrap_deviation, permutation_test
from frami.auditing.roc import (
    allowed_rates,
    area_under_curve,
    clopper_pearson,
    detectable_rate,
    effective_size,
    rate_at,
)
from frami.auditing.settings import AuditSettings
from frami.core.errors import UsageError
from frami.core.settings import make_settings

SETTINGS = AuditSettings(permutations=999, bootstrap=50)


@pytest.fixture
def rng() -> Generator:
    return np.random.default_rng(1)


def sides(members: int, others: int) -> np.ndarray:
    return np.arange(members + others) < members


def test_area_equals_the_share_of_pairs_in_order(rng: Generator) -> None:
    scores, member = rng.integers(0, 6, 40).astype(np.float64), sides(25, 15)
    pairs = list(itertools.product(scores[member], scores[~member]))
    expected = sum((a > b) + 0.5 * (a == b) for a, b in pairs) / len(pairs)
    assert area_under_curve(scores, member) == pytest.approx(expected)


@pytest.mark.parametrize("hits, trials", [(0, 20), (3, 20), (20, 20)])
def test_clopper_pearson_inverts_two_binomial_tests(hits: int, trials: int) -> None:
    low, high = clopper_pearson(hits, trials, 0.9)
    assert (low, high) != (0.0, 1.0)
    if hits:
        assert binom.sf(hits - 1, trials, low) == pytest.approx(0.05)
    if hits < trials:
        assert binom.cdf(hits, trials, high) == pytest.approx(0.05)


def test_rates_need_three_others_for_each_false_positive() -> None:
    assert allowed_rates(29) == []
    assert allowed_rates(30) == [0.1]
    assert allowed_rates(299) == [0.1]
    assert allowed_rates(300) == [0.01, 0.1]
    assert allowed_rates(3000) == [0.001, 0.01, 0.1]


def test_rate_is_that_of_the_lowest_allowed_threshold(rng: Generator) -> None:
    scores, member = rng.standard_normal(140) + 1.5 * sides(40, 100), sides(40, 100)
    rate = rate_at(scores, member, np.arange(140), 0.1, 0.95)
    best = max(
        float((scores[member] > t).mean()) for t in scores if (scores[~member] > t).mean() <= 0.1
    )
    assert rate.tpr == best and rate.fpr == 0.1
    assert (rate.tpr_low, rate.tpr_high) == clopper_pearson(best * 40, 40, 0.95)
    assert rate.fpr_high == clopper_pearson(10, 100, 0.95)[1]
    assert rate.epsilon == pytest.approx(math.log(rate.tpr_low / rate.fpr_high))


def test_equal_scores_show_nothing() -> None:
    rate = rate_at(np.zeros(130), sides(100, 30), np.arange(130), 0.1, 0.95)
    assert (rate.tpr, rate.fpr, rate.epsilon) == (0.0, 0.0, 0.0)


def test_clips_of_a_group_that_agree_count_as_one(rng: Generator) -> None:
    groups = np.repeat(np.arange(50), 4)
    alike = np.repeat(rng.random(50) < 0.3, 4)
    assert effective_size(alike, groups) == pytest.approx(50, rel=0.05)
    assert effective_size(rng.random(200) < 0.3, np.arange(200)) == pytest.approx(200, rel=0.01)
    assert effective_size(np.zeros(200, bool), groups) == 50


def test_permutations_of_all_groups_give_the_exact_p_value(rng: Generator) -> None:
    groups = np.array([0, 0, 1, 2, 2, 2, 3, 4, 4, 5])
    member = np.isin(groups, [0, 1, 2])
    scores = rng.standard_normal(10) + 0.7 * member
    observed = area_under_curve(scores, member)
    areas = [
        area_under_curve(scores, np.isin(groups, chosen))
        for chosen in itertools.combinations(range(6), 3)
    ]
    exact = np.mean([area >= observed - 1e-12 for area in areas])
    test = permutation_test(scores, member, groups, rng, 4000)
    assert test.p_value == pytest.approx(exact, abs=0.03)
    assert test.deviation == pytest.approx(np.sqrt(np.mean((np.array(areas) - 0.5) ** 2)), rel=0.1)


def test_few_permutations_hide_no_leakage(rng: Generator) -> None:
    member, groups = sides(40, 40), np.arange(80)
    scores = rng.standard_normal(80) + 3.0 * member
    assert permutation_test(scores, member, groups, rng, 99).p_value == 0.01
    test = permutation_test(scores, member, groups, rng, 99, level=1e-3)
    assert test.p_value < 1e-3
    settings = AuditSettings(permutations=99, bootstrap=20, confidence=0.999)
    found = evaluate_all([Scores("loss", scores)], member, groups, settings, rng)[0]
    assert found.p_value < 1 - found.confidence
    with pytest.raises(UsageError, match="blind_level"):
        make_settings(AuditSettings, {"blind_level": 0.001})


def test_bootstrap_of_groups_is_wider_than_of_clips(rng: Generator) -> None:
    member, groups = sides(200, 200), np.repeat(np.arange(80), 5)
    scores = np.repeat(rng.standard_normal(80), 5) + 0.01 * rng.standard_normal(400)
    wide = bootstrap_deviation(scores, member, groups, rng, 200)
    narrow = bootstrap_deviation(scores, member, np.arange(400), rng, 200)
    assert wide == pytest.approx(math.sqrt(5) * narrow, rel=0.3)
    # Hanley and McNeil's deviation at an area of 1/2.
    assert narrow == pytest.approx(math.sqrt(401 / (12 * 200 * 200)), rel=0.2)


def test_stated_power_is_that_of_simulated_audits(rng: Generator) -> None:
    f, confidence, power = 0.1, 0.99, 0.9
    detectable = detectable_rate(150, 100, f, confidence, power)
    assert detectable is not None
    ceiling = clopper_pearson(10, 100, confidence)[1]
    hits = rng.binomial(150, detectable, size=4000)
    seen = [clopper_pearson(int(h), 150, confidence)[0] > ceiling for h in hits]
    assert np.mean(seen) == pytest.approx(power, abs=0.02)
    assert detectable_rate(3, 40, f, confidence, power) is None


@pytest.mark.slow
@pytest.mark.parametrize("size", [0.0, 1.0])
def test_area_is_found_with_the_stated_power(rng: Generator, size: float) -> None:
    """Shift the members by what gives the detectable area, or not at all."""
    member, found, repetitions = sides(100, 100), 0, 60
    settings = AuditSettings(permutations=499, bootstrap=20)
    for _ in range(repetitions):
        scores = rng.standard_normal(200)
        target = evaluate_all([Scores("loss", scores)], member, np.arange(200), settings, rng)[0]
        # The area of two normal distributions is Phi(shift / sqrt(2)).
        shift = size * math.sqrt(2) * norm.ppf(target.detectable_area)
        moved = Scores("loss", scores + shift * member)
        found += evaluate_all([moved], member, np.arange(200), settings, rng)[0].leaks
    if size:
        assert found >= 0.75 * repetitions
    else:
        assert found <= 0.1 * repetitions


def test_more_attacks_make_each_test_stricter(rng: Generator) -> None:
    member, groups = sides(300, 300), np.arange(600)
    attacks = [Scores(str(n), rng.standard_normal(600)) for n in range(4)]
    found = evaluate_all(attacks, member, groups, SETTINGS, rng)
    # Four areas, and the rates 1 % and 10 % of each.
    assert {one.confidence for one in found} == {1 - 0.05 / 12}
    assert not any(one.leaks for one in found)
    reverse = evaluate_all([Scores("tail", -1.0 * ~member, True)], member, groups, SETTINGS, rng)
    assert reverse[0].area == 1.0 and reverse[0].leaks and reverse[0].rates[0].tpr == 1.0
