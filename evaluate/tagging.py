"""How well does a model rank clips by each tag? Areas under precision-recall curves, in [0, 1], higher is better."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import auc, average_precision_score, precision_recall_curve

from frami.core.errors import OperationError


def tagging_scores(
    labels: tuple[str, ...], targets: np.ndarray, logits: np.ndarray
) -> dict[str, Any]:
    """Return micro- and macro-AUPRC, mean average precision, the number of clips, and the figures of every tag.

    A tag that none or all of the clips have cannot be ranked and is left out of all of them.

    Args:
        labels: Tags, by index.
        targets: 1 where a clip has the tag, ``(S, K)``.
        logits: What the model gives, ``(S, K)``; only their order counts.

    Source: DCASE 2019 task 5 (micro- and macro-AUPRC, by trapezoids); average precision is the sum by steps.
    """
    if not len(targets):
        raise OperationError("There is no clip to score.")
    ranked = [index for index in range(len(labels)) if 0 < targets[:, index].sum() < len(targets)]
    if not ranked:
        raise OperationError("No tag tells these clips apart: each is on all of them or on none.")
    per_class = {
        labels[index]: {
            "clips": int(targets[:, index].sum()),
            "auprc": _area(targets[:, index], logits[:, index]),
            "average_precision": float(
                average_precision_score(targets[:, index], logits[:, index])
            ),
        }
        for index in ranked
    }
    return {
        "micro_auprc": _area(targets[:, ranked].ravel(), logits[:, ranked].ravel()),
        "macro_auprc": float(np.mean([found["auprc"] for found in per_class.values()])),
        "mean_average_precision": float(
            np.mean([found["average_precision"] for found in per_class.values()])
        ),
        "clips": len(targets),
        "per_class": per_class,
    }


def _area(target: np.ndarray, logit: np.ndarray) -> float:
    precision, recall, _ = precision_recall_curve(target, logit)
    return float(auc(recall, precision))
