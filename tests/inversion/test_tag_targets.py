"""Targets of an inversion of taggers and event detectors: tag sets and timelines."""

from __future__ import annotations

import torch

from frami.inversion.targets import sample_tag_sets, sample_timelines

UNIFORM = torch.ones(5, 5)


def test_sample_tag_sets_are_balanced_with_one_to_three_tags() -> None:
    sets = torch.cat([sample_tag_sets(UNIFORM, 40, index, seed=0) for index in range(20)])
    assert set(sets.sum(dim=1).tolist()) == {1.0, 2.0, 3.0}
    assert float(sets.mean(dim=0).max() / sets.mean(dim=0).min()) < 1.3
    again = sample_tag_sets(UNIFORM, 8, 3, seed=1)
    assert torch.equal(again, sample_tag_sets(UNIFORM, 8, 3, seed=1))


def test_sample_timelines_have_one_to_three_tags_and_several_lengths() -> None:
    timelines = sample_timelines(UNIFORM, 64, 0, 0, 100)
    assert timelines.shape == (64, 5, 100) and set(timelines.flatten().tolist()) == {0.0, 1.0}
    n_tags = timelines.amax(dim=2).sum(dim=1)
    assert float(n_tags.min()) >= 1 and float(n_tags.max()) <= 3
    assert 0.05 < float(timelines.mean()) < 0.4
    assert torch.equal(timelines, sample_timelines(UNIFORM, 64, 0, 0, 100))
    assert not torch.equal(timelines, sample_timelines(UNIFORM, 64, 1, 0, 100))
