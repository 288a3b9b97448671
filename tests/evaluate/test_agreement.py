"""Agreement of two lists of logits."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from frami.evaluate.agreement import agreement, divergence
from frami.models.architecture import Architecture
from frami.models.model import Model


def test_of_single_labels_it_is_the_share_of_clips(teacher: Model) -> None:
    first = list(torch.eye(3))
    assert agreement(teacher, first, first[:2] + first[:1]) == pytest.approx(2 / 3)


def test_of_tags_it_is_the_share_of_all_tags(teacher: Model) -> None:
    tagger = replace(teacher, task="multi-label")
    first = [torch.tensor([1.0, -1.0, 2.0]), torch.tensor([-1.0, -1.0, -1.0])]
    second = [torch.tensor([3.0, 1.0, 2.0]), torch.tensor([-1.0, -2.0, 3.0])]
    assert agreement(tagger, first, second) == pytest.approx(4 / 6)


def test_of_events_it_is_that_of_the_clips_tags(teacher: Model) -> None:
    detector = Model.build(
        Architecture.from_options("crnn", 8), teacher.front_end, ("a", "b"), "sound-events"
    )
    first = [torch.tensor([[1.0, -1, -1], [1, -1, -1]]), torch.tensor([[1.0, 1], [-1, 1]])]
    second = [torch.tensor([[1.0, 2, 2], [-1, 2, 2]]), torch.tensor([[1.0, -1], [-1, -1]])]
    assert agreement(detector, first, second) == pytest.approx(3 / 4)


def test_divergence_of_events_is_that_of_the_clips_tags(teacher: Model) -> None:
    detector = Model.build(
        Architecture.from_options("crnn", 8), teacher.front_end, ("a", "b"), "sound-events"
    )
    tagger = replace(teacher, task="multi-label")
    first, second = torch.tensor([[1.0, -1], [2, 0]]), torch.tensor([[0.0, -1], [1, 1]])
    expected = divergence(tagger, first, second)
    assert divergence(detector, first, second) == pytest.approx(expected) != 0
