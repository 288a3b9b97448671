"""Tagging: how well a model ranks clips by each tag.

Areas under precision-recall curves, in [0, 1], higher is better.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import auc, average_precision_score, precision_recall_curve

from frami.core.errors import OperationError
from frami.evaluate.metric import Measure, Predictions

TASK = "multi-label"
MEASURES = {
    "micro_auprc": Measure("micro-AUPRC", order=0),
    "macro_auprc": Measure("macro-AUPRC", order=1),
    "mean_average_precision": Measure("mAP", order=2),
}
PER_CLASS_TITLES = {"auprc": "AUPRC"}


def score(predictions: Predictions) -> dict[str, Any]:
    """Return micro- and macro-AUPRC, mean average precision, and the figures of each tag."""
    logits = predictions.clip_logits.numpy()
    return tagging_scores(predictions.split.labels, predictions.clips.targets, logits)


def tagging_scores(
    labels: tuple[str, ...], targets: NDArray[np.float32], logits: NDArray[np.float32]
) -> dict[str, Any]:
    """Return micro- and macro-AUPRC, mean average precision, and the figures of each tag.

    A tag that no clip has, or every clip, cannot be ranked. It is left out of all measures.

    Args:
        labels: Tags, by index.
        targets: 1 where a clip has the tag, else 0, ``(S, K)``. Where it is NaN, the tag is
            unknown, and the clip does not count for it.
        logits: The model's logits, ``(S, K)``; only their order counts.

    Raises:
        OperationError: No tag can be ranked.

    Source: DCASE 2019 task 5 for micro- and macro-AUPRC, integrated by trapezoids. Average
    precision is the sum over steps. Differs: the curve has all thresholds, as scikit-learn's. The
    challenge's tool skips those below 0.01 and ends at recall 1 and precision 0, which gives up to
    0.02 less. Do not compare with scores of the challenge.
    """
    known = ~np.isnan(targets)
    n_positive = np.nansum(targets, axis=0)
    ranked = np.flatnonzero((n_positive > 0) & (n_positive < known.sum(axis=0)))
    if not len(ranked):
        raise OperationError(
            "No tag can be ranked: each tag is on all of the test clips or on none of them."
        )
    per_class = {
        labels[index]: {
            "clips": int(n_positive[index]),
            "auprc": _auprc(targets[rows, index], logits[rows, index]),
            "average_precision": float(
                average_precision_score(targets[rows, index], logits[rows, index])
            ),
        }
        for index, rows in ((index, known[:, index]) for index in ranked)
    }
    figures = per_class.values()
    return {
        "micro_auprc": _auprc(
            targets[:, ranked][known[:, ranked]], logits[:, ranked][known[:, ranked]]
        ),
        "macro_auprc": float(np.mean([figure["auprc"] for figure in figures])),
        "mean_average_precision": float(
            np.mean([figure["average_precision"] for figure in figures])
        ),
        "per_class": per_class,
    }


def _auprc(target: NDArray[np.float32], logit: NDArray[np.float32]) -> float:
    precision, recall, _ = precision_recall_curve(target, logit)
    return float(auc(recall, precision))
