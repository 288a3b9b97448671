"""Balanced agreement is the mean over what the teacher predicts, not over clips."""

from __future__ import annotations

import pytest
import torch

from frami.core.runtime import Runtime
from frami.data.noise import NoiseClips
from frami.evaluate import agreement
from frami.evaluate.agreement import balanced_agreement, teacher_agreement
from frami.models.model import Model


@pytest.fixture
def logits(monkeypatch: pytest.MonkeyPatch, teacher: Model) -> dict[int, torch.Tensor]:
    """Return logits by the id of a model, in place of predictions."""
    table: dict[int, torch.Tensor] = {}
    monkeypatch.setattr(agreement, "predict_logits", lambda model, *_: table[id(model)])
    return table


def test_classes_count_alike(
    teacher: Model, runtime: Runtime, logits: dict[int, torch.Tensor]
) -> None:
    student = Model(teacher.architecture, teacher.network, teacher.front_end, teacher.labels)
    clips = NoiseClips(10, teacher.front_end, (12, 12), 0)
    own = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, 1, 2])
    other = torch.tensor([0, 0, 0, 0, 0, 0, 1, 0, 0, 0])
    logits[id(teacher)] = torch.nn.functional.one_hot(own, 3).float()
    logits[id(student)] = torch.nn.functional.one_hot(other, 3).float()
    # Class 2 has one clip and does not count; class 0 has 6 of 6, class 1 has 1 of 3.
    assert balanced_agreement(teacher, student, clips, runtime) == pytest.approx((1 + 1 / 3) / 2)
    assert teacher_agreement(teacher, student, clips, runtime) == pytest.approx(0.7)


def test_with_few_clips_every_class_counts(
    teacher: Model, runtime: Runtime, logits: dict[int, torch.Tensor]
) -> None:
    student = Model(teacher.architecture, teacher.network, teacher.front_end, teacher.labels)
    clips = NoiseClips(3, teacher.front_end, (12, 12), 0)
    logits[id(teacher)] = torch.eye(3)
    logits[id(student)] = torch.eye(3)[[0, 1, 1]]
    assert balanced_agreement(teacher, student, clips, runtime) == pytest.approx(2 / 3)


def test_present_and_absent_tags_count_alike(
    teacher: Model, runtime: Runtime, logits: dict[int, torch.Tensor]
) -> None:
    tagger, student = (
        Model(teacher.architecture, teacher.network, teacher.front_end, teacher.labels, task)
        for task in ("multi-label", "multi-label")
    )
    clips = NoiseClips(10, teacher.front_end, (12, 12), 0)
    present = torch.zeros(10, 3)
    present[:4, 0] = present[:, 1] = 1  # tag 0 in 4 of 10 clips, tag 1 in all, tag 2 in none
    logits[id(tagger)] = 2 * present - 1
    logits[id(student)] = logits[id(tagger)].clone()
    logits[id(student)][0, 0] = -1
    # Shares: tag 0 present 3 of 4, tag 0 absent 1, tag 1 present 1, tag 2 absent 1.
    assert balanced_agreement(tagger, student, clips, runtime) == pytest.approx(3.75 / 4)
