"""Attacks against slow references, written from the formulae."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.random import Generator

from frami.auditing import attacks
from frami.auditing.attacks import Flags, Floats


@pytest.fixture
def rng() -> Generator:
    return np.random.default_rng(0)


def losses(rng: Generator, models: int, clips: int) -> tuple[Floats, Floats, Flags]:
    """Return losses of an audited model and of reference models, and who was trained on what."""
    is_in = np.array([rng.permutation(clips) % 2 == 0 for _ in range(models // 2)])
    is_in = np.concatenate([is_in, ~is_in])
    return rng.gamma(1.0, size=clips), rng.gamma(1.0, size=(models, clips)), is_in


def slow_rmia(loss: Floats, references: Floats, is_in: Flags, gamma: float) -> list[float]:
    ratios = []
    for x in range(len(loss)):
        inside = [math.exp(-references[k, x]) for k in range(len(references)) if is_in[k, x]]
        outside = [math.exp(-references[k, x]) for k in range(len(references)) if not is_in[k, x]]
        mean = (sum(inside) / len(inside) + sum(outside) / len(outside)) / 2
        ratios.append(math.exp(-loss[x]) / mean)
    return [
        sum(ratios[x] / ratios[z] > gamma for z in range(len(loss)) if z != x) / (len(loss) - 1)
        for x in range(len(loss))
    ]


@pytest.mark.parametrize("gamma", [1.0, 1.5])
def test_rmia_equals_pairwise_comparison(rng: Generator, gamma: float) -> None:
    loss, references, is_in = losses(rng, 4, 25)
    fast = attacks.rmia_score(loss, references, is_in, gamma)
    assert fast == pytest.approx(slow_rmia(loss, references, is_in, gamma))
    assert fast.std() > 0


def test_rmia_takes_the_other_mean_alone_where_all_references_were_trained_on_the_clip() -> None:
    references = np.log(np.array([[2.0, 4.0], [2.0, 8.0]]))  # probabilities 1/2, 1/4 and 1/8
    is_in = np.array([[True, True], [True, False]])
    mean = attacks.mean_probability(references, is_in)
    assert mean == pytest.approx([1 / 2, (1 / 4 + 1 / 8) / 2])


def slow_gaussian(confidences: list[list[float]], x: int, own: bool) -> tuple[float, float]:
    """Return the mean of clip x, and a deviation: that of all clips, or its own."""
    mean = sum(confidences[x]) / len(confidences[x])
    chosen = [x] if own else range(len(confidences))
    squares = [
        (value - sum(confidences[z]) / len(confidences[z])) ** 2
        for z in chosen
        for value in confidences[z]
    ]
    return mean, math.sqrt(sum(squares) / len(squares))


def logit(loss: float) -> float:
    probability = math.exp(-loss)
    return math.log(probability / (1 - probability))


@pytest.mark.parametrize("models", [16, 64])
def test_lira_equals_gaussians_of_every_clip(rng: Generator, models: int) -> None:
    loss, references, is_in = losses(rng, models, 12)
    own = models >= 64
    columns = range(len(loss))
    inside, outside = (
        [[logit(references[k, x]) for k in range(models) if is_in[k, x] == side] for x in columns]
        for side in (True, False)
    )
    online, offline = [], []
    for x in columns:
        value, densities = logit(loss[x]), []
        for sets in (inside, outside):
            mean, deviation = slow_gaussian(sets, x, own)
            densities.append(-((value - mean) ** 2) / (2 * deviation**2) - math.log(deviation))
        online.append(densities[0] - densities[1])
        mean, deviation = slow_gaussian(outside, x, own)
        offline.append((value - mean) / deviation)
    assert attacks.lira_online_score(loss, references, is_in) == pytest.approx(online)
    assert attacks.lira_offline_score(loss, references, is_in) == pytest.approx(offline)


def test_scaled_confidence_is_exact_for_probabilities_near_one() -> None:
    scaled = attacks.scaled_confidence(np.array([1e-20, 1e-3, 5.0, 800.0]))
    expected = [20 * math.log(10), logit(1e-3), logit(5.0), -800.0]
    assert scaled == pytest.approx(expected)
    assert np.isfinite(attacks.scaled_confidence(np.array([0.0]))).all()


def test_difference_is_high_where_the_teacher_is_better_than_its_student() -> None:
    scores = attacks.difference_score(np.array([2.0, 2.0]), np.array([0.1, 1.9]))
    assert scores == pytest.approx([1.9, 0.1])


def test_neighbors_are_of_the_class_and_never_the_clip_itself(rng: Generator) -> None:
    loss, features = rng.gamma(1.0, size=20), rng.standard_normal((20, 3))
    targets = np.array([0] * 9 + [1] * 10 + [2])
    expected = []
    for x in range(20):
        pairs = sorted(
            (float(np.linalg.norm(features[x] - features[z])), -loss[z])
            for z in range(20)
            if z != x and targets[z] == targets[x]
        )[:4]
        expected.append(sum(s for _, s in pairs) / len(pairs) if pairs else -loss.mean())
    assert attacks.neighbor_score(loss, features, targets, 4) == pytest.approx(expected)


def test_members_have_higher_scores_in_every_attack(rng: Generator) -> None:
    member = np.arange(200) < 100
    hard = rng.gamma(2.0, size=200)  # what makes a clip hard is the same for all models
    _, _, is_in = losses(rng, 16, 200)
    noise = 0.9 + 0.2 * rng.random((16, 200))
    references = hard * noise * np.where(is_in, 0.2, 1.0)
    loss = hard * (0.9 + 0.2 * rng.random(200)) * np.where(member, 0.2, 1.0)
    panel = references, is_in
    for scores in (
        attacks.loss_score(loss),
        attacks.rmia_score(loss, *panel),
        attacks.lira_online_score(loss, *panel),
        attacks.lira_offline_score(loss, *panel),
    ):
        assert np.mean(scores[member]) > np.mean(scores[~member])
    rmia = attacks.rmia_score(loss, *panel)
    assert rmia[member].min() > rmia[~member].max()  # the references cancel what is hard
