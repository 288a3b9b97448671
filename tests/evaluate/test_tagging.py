"""Areas under precision-recall curves of tags."""

from __future__ import annotations

import numpy as np
import pytest

from frami.core.errors import OperationError
from frami.evaluate.tagging import tagging_scores

TARGETS = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], dtype=np.float32)


def test_tagging_scores_perfect_ranking_is_one() -> None:
    scores = tagging_scores(("a", "b"), TARGETS, 4 * TARGETS - 2)
    for name in ("micro_auprc", "macro_auprc", "mean_average_precision"):
        assert scores[name] == pytest.approx(1)


def test_tagging_scores_known_ranking() -> None:
    # Tag a ranks hit, miss, hit, miss: its average precision is (1 + 2/3) / 2.
    logits = np.array([[4, -4], [3, 4], [2, 4], [1, -4]], dtype=np.float32)
    scores = tagging_scores(("a", "b"), TARGETS, logits)
    assert scores["per_class"]["a"]["average_precision"] == pytest.approx(5 / 6)
    assert scores["mean_average_precision"] == pytest.approx((5 / 6 + 1) / 2)
    # By trapezoids: precision 1 up to recall 1/2, then from 1/2 (two clips) to 2/3 at recall 1.
    expected = 0.5 + 0.5 * (0.5 + 2 / 3) / 2
    assert scores["per_class"]["a"]["auprc"] == pytest.approx(expected)
    assert tagging_scores(("a", "b"), TARGETS, 50 * logits) == scores


def test_tagging_scores_leave_out_tags_without_positive_clip() -> None:
    targets = TARGETS * np.array([1, 0], dtype=np.float32)
    assert list(tagging_scores(("a", "b"), targets, TARGETS)["per_class"]) == ["a"]
    with pytest.raises(OperationError, match="No tag can be ranked"):
        tagging_scores(("a", "b"), 0 * targets, TARGETS)


def test_tagging_scores_leave_out_unknown_tags() -> None:
    targets = np.array([[1, 0], [0, 1], [1, np.nan], [0, 1], [np.nan, 0]], np.float32)
    logits = np.array([[2, 1], [1, 3], [0, 9], [-1, 2], [9, 0]], np.float32)
    first = tagging_scores(("a",), targets[:4, :1], logits[:4, :1])
    scores = tagging_scores(("a", "b"), targets, logits)
    assert scores["per_class"]["a"] == first["per_class"]["a"]
    assert scores["per_class"]["b"]["auprc"] == 1
    known = ~np.isnan(targets)
    together = tagging_scores(("all",), targets[known][:, None], logits[known][:, None])
    assert scores["micro_auprc"] == together["micro_auprc"]
