"""The blind test: it finds a difference of the sides, and none in exchangeable sides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.random import Generator

from frami.auditing.blind import blind_test, summary_features
from frami.auditing.pool import Pool


@pytest.fixture
def rng() -> Generator:
    return np.random.default_rng(3)


def test_exchangeable_sides_pass(pool: Pool, rng: Generator) -> None:
    blind = blind_test(pool, summary_features(pool), rng)
    assert blind.p_value > 0.05 and blind.class_p_value > 0.05 and blind.clips == 200


@pytest.mark.slow
def test_p_values_of_exchangeable_sides_are_uniform(pool: Pool, rng: Generator) -> None:
    features = rng.standard_normal((200, 20))
    p_values = []
    for _ in range(60):
        drawn = replace(pool, is_member=rng.permutation(pool.is_member))
        p_values.append(blind_test(drawn, features, rng, 99).p_value)
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.12)
    assert np.mean(np.array(p_values) <= 0.1) <= 0.2


@pytest.mark.parametrize("kind", ["linear", "spread"])
def test_a_difference_is_found(pool: Pool, rng: Generator, kind: str) -> None:
    features = rng.standard_normal((200, 10))
    if kind == "linear":
        features[pool.is_member] += 0.4
    else:  # equal means: no linear classifier finds it
        features[pool.is_member] *= 1.8
    blind = blind_test(pool, features, rng)
    assert blind.p_value <= 0.002 and blind.area > 0.65


def test_speakers_that_differ_are_no_difference_of_the_sides(pool: Pool, rng: Generator) -> None:
    """With 40 speakers, some of them are alike by chance within a side."""
    groups = np.repeat(np.arange(40), 5)
    features = rng.standard_normal((40, 10))[groups] + 0.1 * rng.standard_normal((200, 10))
    grouped = replace(pool, groups=groups)
    assert blind_test(grouped, features, rng).p_value > 0.05


def test_other_shares_of_the_classes_are_found(pool: Pool, rng: Generator) -> None:
    targets = np.where(pool.is_member & (np.arange(200) % 3 > 0), 0, 1)
    clips = replace(pool.clips, targets=targets)
    blind = blind_test(replace(pool, clips=clips), rng.standard_normal((200, 3)), rng)
    assert blind.class_p_value <= 0.002 and blind.smaller <= 0.004


def test_unknown_tags_are_no_difference_unless_one_side_has_more(
    pool: Pool, rng: Generator
) -> None:
    """Of tags that are unknown here and there, the p-values are uniform as those of known tags."""
    tags = (rng.random((200, 3)) < 0.3).astype(np.float32)
    tags[rng.random((200, 3)) < 0.2] = np.nan
    features = rng.standard_normal((200, 3))

    def class_p_value(targets: np.ndarray) -> float:
        tagged = replace(pool, clips=replace(pool.clips, targets=targets))
        return blind_test(tagged, features, rng, 99).class_p_value

    alike = [class_p_value(rng.permutation(tags)) for _ in range(30)]
    assert np.mean(alike) == pytest.approx(0.5, abs=0.16) and np.mean(np.array(alike) <= 0.1) <= 0.3
    more = tags.copy()
    more[pool.is_member & (np.arange(200) % 3 > 0), 0] = np.nan
    assert class_p_value(more) == 0.01
    present = tags.copy()
    present[pool.is_member & (np.arange(200) % 3 > 0), 0] = 1
    assert class_p_value(present) == 0.01
