"""Scores of models with one class a clip: accuracy and macro-F1, in [0, 1], higher is better."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix, f1_score

from frami.core.errors import OperationError


def classification_scores(
    labels: tuple[str, ...], targets: np.ndarray, heard: np.ndarray
) -> dict[str, Any]:
    """Return accuracy, macro-F1, the number of clips, and precision, recall and clips of every class that occurs.

    Args:
        labels: Class names, by class index.
        targets: True class a clip, ``(S,)``.
        heard: Class given, ``(S,)``.
    """
    if not len(targets):
        raise OperationError("There is no clip to score.")
    counts = confusion_matrix(targets, heard, labels=np.arange(len(labels)))
    occurring = np.flatnonzero(counts.sum(axis=1))
    per_class = {
        labels[index]: {
            "clips": int(counts[index].sum()),
            "recall": float(counts[index, index] / counts[index].sum()),
            "precision": float(counts[index, index] / max(1, counts[:, index].sum())),
        }
        for index in occurring
    }
    return {
        "accuracy": float((targets == heard).mean()),
        "macro_f1": float(
            f1_score(targets, heard, labels=occurring, average="macro", zero_division=0)
        ),
        "clips": int(len(targets)),
        "per_class": per_class,
        "confusion": counts.tolist(),
    }
