"""The losses of distillation, each against a slow reference written from its formula."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from frami.models.network import Output
from frami.training.losses import (
    TEMPERATURE,
    cross_entropy_loss,
    embedding_loss,
    frame_similarity_loss,
    hidden_loss,
    logits_loss,
    similarity_loss,
    stats_loss,
)
from tests.reference import random_output, softmax

LossFunction = Callable[[Output, Output, Tensor], Tensor]
NO_TARGET = torch.zeros(0)


def test_logits_loss_is_softened_divergence() -> None:
    teacher, student = random_output(seed=1), random_output(seed=2)
    total = 0.0
    for teacher_row, student_row in zip(
        teacher.logits.tolist(), student.logits.tolist(), strict=True
    ):
        teacher_probs, student_probs = (
            softmax(row, TEMPERATURE) for row in (teacher_row, student_row)
        )
        for p, q in zip(teacher_probs, student_probs, strict=True):
            total += TEMPERATURE**2 * p * math.log(p / q)
    value = logits_loss(teacher, student, torch.zeros(3, 4))
    assert value.item() == pytest.approx(total / 3, rel=1e-5)


def test_cross_entropy_loss_accepts_mixed_targets() -> None:
    output = random_output(seed=2)
    target = torch.tensor([[0.5, 0.5, 0, 0], [0, 0, 1.0, 0], [0.25, 0, 0, 0.75]])
    total = 0.0
    for row, weights in zip(output.logits.tolist(), target.tolist(), strict=True):
        total -= sum(w * math.log(p) for w, p in zip(weights, softmax(row), strict=True))
    assert cross_entropy_loss(None, output, target).item() == pytest.approx(total / 3, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "feature_loss"),
    [("hidden", hidden_loss), ("stats", stats_loss), ("embedding", embedding_loss)],
)
def test_feature_losses_are_relative_to_the_teachers_mean_square(
    name: str, feature_loss: LossFunction
) -> None:
    teacher, student = random_output(seed=1), random_output(seed=2)
    theirs, ours = (getattr(output, name).flatten().tolist() for output in (teacher, student))
    gap = sum((a - b) ** 2 for a, b in zip(theirs, ours, strict=True)) / sum(a**2 for a in theirs)
    assert feature_loss(teacher, student, NO_TARGET).item() == pytest.approx(gap, rel=1e-5)


def normalized_gram(rows: list[list[float]]) -> list[list[float]]:
    """Return the products of rows with one another; each row of the result has unit length."""
    products = [[sum(a * b for a, b in zip(u, v, strict=True)) for v in rows] for u in rows]
    return [[value / math.sqrt(sum(p * p for p in row)) for value in row] for row in products]


def squared_gap(one: list[list[float]], other: list[list[float]]) -> float:
    return sum(
        (a - b) ** 2 for u, v in zip(one, other, strict=True) for a, b in zip(u, v, strict=True)
    )


def test_similarity_loss_compares_the_clips_of_a_batch() -> None:
    teacher, student = random_output(seed=1), random_output(seed=2, channels=4, n_frames=3)
    theirs, ours = (
        normalized_gram(output.hidden.flatten(1).tolist()) for output in (teacher, student)
    )
    loss = similarity_loss(teacher, student, NO_TARGET)
    assert loss.item() == pytest.approx(squared_gap(theirs, ours) / 9, rel=1e-5)


def test_frame_similarity_loss_compares_the_frames_of_a_clip() -> None:
    teacher = random_output(seed=1, n_frames=6)
    student = random_output(seed=2, channels=4, n_frames=3)
    gap = 0.0
    for clip in range(3):
        frames = teacher.hidden[clip].T.tolist()
        halved = [
            [(a + b) / 2 for a, b in zip(frames[2 * k], frames[2 * k + 1], strict=True)]
            for k in range(3)
        ]
        gap += squared_gap(
            normalized_gram(halved), normalized_gram(student.hidden[clip].T.tolist())
        )
    for one, other in ((teacher, student), (student, teacher)):
        value = frame_similarity_loss(one, other, NO_TARGET).item()
        assert value == pytest.approx(gap / (3 * 9), rel=1e-5)


def test_hidden_loss_interpolates_frames_of_another_rate() -> None:
    teacher, student = random_output(seed=1, n_frames=6), random_output(seed=2, n_frames=3)
    stretched = torch.zeros_like(teacher.hidden)
    for frame in range(6):
        # Frames are placed by their centers: that of frame 0 of 6 is before that of frame 0 of 3.
        place = min(max((frame + 0.5) / 2 - 0.5, 0.0), 2.0)
        first, part = int(place), place - int(place)
        stretched[:, :, frame] = (1 - part) * student.hidden[:, :, first]
        stretched[:, :, frame] += part * student.hidden[:, :, min(first + 1, 2)]
    expected = hidden_loss(teacher, replace(student, hidden=stretched), NO_TARGET).item()
    assert hidden_loss(teacher, student, NO_TARGET).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", [logits_loss, hidden_loss, stats_loss])
def test_losses_of_a_student_equal_to_its_teacher_are_zero(loss: LossFunction) -> None:
    teacher = random_output(seed=1)
    assert loss(teacher, teacher, NO_TARGET).item() == pytest.approx(0, abs=1e-6)
