"""Scores beside a teacher: agreement and divergence on the same recordings."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import frami
from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.data.clips import Spectrograms
from frami.data.splits import load_split
from frami.evaluate.all_folds import score_all_folds
from frami.models.model import Model
from tests.conftest import LABELS, last_layer, make_teacher
from tests.datasets.folders import write_class_folders


def score(model: Model, data: Path, teacher: Model | None = None) -> dict[str, Any]:
    """Return the scores of a model on the first fold."""
    return frami.score(model, "folder", data, teacher=teacher, test_fold="1", threads=1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_class_folders(tmp_path / "own", dict.fromkeys(LABELS, 10))


def make_student(front_end: FrontEnd) -> Model:
    student = make_teacher(replace(front_end, pre_emphasis=0.5))
    with torch.no_grad():
        last_layer(student).weight.mul_(-30)
    return student


def test_agreement_and_divergence_are_those_of_the_models_answers(
    data: Path, front_end: FrontEnd
) -> None:
    teacher, student = make_teacher(front_end), make_student(front_end)
    scores = score(student, data, teacher)
    test = load_split("folder", data, test_fold="1").test
    same, terms = [], []
    for index in range(len(test)):
        log_p, log_q = (
            model.network(Spectrograms.from_recordings(test, model.front_end).mel(index)[None])
            .logits.log_softmax(1)[0]
            .tolist()
            for model in (teacher, student)
        )
        same.append(log_p.index(max(log_p)) == log_q.index(max(log_q)))
        terms.append(sum(math.exp(p) * (p - q) for p, q in zip(log_p, log_q, strict=True)))
    assert scores["agreement"] == pytest.approx(sum(same) / len(same))
    assert scores["divergence"] == pytest.approx(sum(terms) / len(terms), rel=1e-4) != 0
    itself = score(teacher, data, teacher)
    assert itself["agreement"] == 1 and itself["divergence"] == 0
    assert "agreement" not in score(student, data)


def test_teacher_with_other_labels_is_refused(data: Path, front_end: FrontEnd) -> None:
    teacher = replace(make_teacher(front_end), labels=tuple(reversed(LABELS)))
    with pytest.raises(UsageError, match="Only models with the same labels can be compared"):
        score(make_student(front_end), data, teacher)


def test_each_fold_may_have_its_own_teacher(
    data: Path, front_end: FrontEnd, tmp_path: Path
) -> None:
    student = make_student(front_end)
    student.save(tmp_path / "student")
    student.save(tmp_path / "teacher-1")
    make_teacher(front_end).save(tmp_path / "teacher-3")
    result = score_all_folds(
        tmp_path / "student", "folder", data, teacher=f"{tmp_path}/teacher-{{fold}}", threads=1
    )
    divergences = [one["divergence"] for one in result["folds"].values()]
    assert list(result["folds"]) == ["1", "3"] and divergences[0] == 0 < divergences[1]
    assert result["mean"]["divergence"] == sum(divergences) / 2
    assert list(result["missing_folds"]) == ["2", "4", "5"]
