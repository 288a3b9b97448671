"""Scores for one class per clip."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from frami.core.errors import UsageError
from frami.evaluate.classification import classification_scores


def test_classification_scores_perfect_predictions_are_one() -> None:
    targets = np.array([0, 1, 2, 1])
    scores = classification_scores(("a", "b", "c"), targets, targets)
    assert scores["accuracy"] == scores["macro_f1"] == 1
    assert scores["confusion"] == [[1, 0, 0], [0, 2, 0], [0, 0, 1]]


def test_classification_scores_known_mistakes() -> None:
    targets, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 2])
    scores = classification_scores(("a", "b", "c"), targets, predicted)
    assert scores["accuracy"] == 0.5
    # Class c has no clip: it is left out of the mean.
    assert scores["macro_f1"] == pytest.approx((0.8 + 0) / 2)
    assert scores["macro_f1"] == pytest.approx(
        f1_score(targets, predicted, labels=[0, 1], average="macro", zero_division=0)
    )
    assert scores["per_class"] == {
        "a": {"clips": 3, "recall": pytest.approx(2 / 3), "precision": 1.0},
        "b": {"clips": 1, "recall": 0.0, "precision": 0.0},
    }
    assert scores["confusion"] == [[2, 1, 0], [0, 0, 1], [0, 0, 0]]


def test_classes_with_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="each class must have its own name"):
        classification_scores(("dog", "dog"), np.array([0, 1]), np.array([1, 1]))
