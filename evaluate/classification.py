"""Classification: accuracy and macro-F1 for one class per clip, in [0, 1], higher is better."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, f1_score

from frami.core.errors import UsageError
from frami.evaluate.metric import Measure, Predictions

TASK = "single-label"
MEASURES = {"accuracy": Measure("accuracy", order=0), "macro_f1": Measure("macro-F1", order=1)}


def score(predictions: Predictions) -> dict[str, Any]:
    """Return accuracy, macro-F1, confusion matrix, and the figures of each class."""
    predicted = predictions.clip_logits.argmax(dim=1).numpy()
    return classification_scores(predictions.split.labels, predictions.clips.targets, predicted)


def classification_scores(
    labels: tuple[str, ...], targets: NDArray[np.int64], predicted: NDArray[np.int64]
) -> dict[str, Any]:
    """Return accuracy, macro-F1, confusion matrix, and the figures of each class that occurs.

    Macro-F1 is the mean over the classes that occur among the targets.

    Args:
        labels: Class names, by class index.
        targets: True class of each clip, ``(S,)``.
        predicted: Predicted class of each clip, ``(S,)``.

    Returns:
        ``accuracy``, ``macro_f1``, ``per_class`` (clips, recall and precision by label),
        ``confusion`` ``(K, K)``, the number of clips with the true class by row, and ``labels``,
        the classes of its rows and columns.

    Raises:
        UsageError: Two classes have the same name.
    """
    if len(set(labels)) < len(labels):
        raise UsageError(f"`labels` are {', '.join(labels)}; each class must have its own name.")
    counts = confusion_matrix(targets, predicted, labels=np.arange(len(labels)))
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
        "accuracy": float((targets == predicted).mean()),
        "macro_f1": float(
            f1_score(targets, predicted, labels=occurring, average="macro", zero_division=0)
        ),
        "per_class": per_class,
        "confusion": counts.tolist(),
        "labels": list(labels),
    }
