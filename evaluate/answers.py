"""The answers of a model: one for each clip, and the worst mistakes among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from frami.data.recordings import Split

SHOWN_PROBABILITY = 0.01
THRESHOLD = 0.5
NOTHING = "-"


class Mistake(NamedTuple):
    """A wrong answer.

    Attributes:
        clip: Name of the clip.
        truth: The true label; ``-`` if the clip does not have the predicted tag.
        answer: The predicted label; ``-`` if the model missed the true tag.
        probability: The predicted probability of the label.
    """

    clip: str
    truth: str
    answer: str
    probability: float


def clip_answers(split: Split, probabilities: Tensor) -> list[dict[str, Any]]:
    """Return the answer for each test clip.

    Args:
        split: Labels, and the names and labels of the test clips.
        probabilities: Probability of each class for each clip, ``(S, K)``.

    Returns:
        For each clip its name (``clip``), the true label (``truth``), the predicted label and its
        ``probability``. For tags and sound events, ``truth`` and ``predicted`` are lists (a tag is
        predicted from a probability of 0.5), and ``probabilities`` holds all tags above 0.01.
    """
    targets = np.asarray(split.test.targets)
    describe = _tag_answer if targets.ndim > 1 else _label_answer
    return [
        {"clip": name, **describe(split.labels, target, one.tolist())}
        for name, target, one in zip(split.test.names, targets, probabilities, strict=True)
    ]


def _label_answer(labels: Sequence[str], target: int, values: Sequence[float]) -> dict[str, Any]:
    best = int(np.argmax(values))
    return {"truth": labels[target], "predicted": labels[best], "probability": values[best]}


def _tag_answer(
    labels: Sequence[str], target: np.ndarray, values: Sequence[float]
) -> dict[str, Any]:
    shown = [index for index, value in enumerate(values) if value > SHOWN_PROBABILITY]
    return {
        "truth": [label for label, value in zip(labels, target, strict=True) if value >= THRESHOLD],
        "predicted": [labels[index] for index in shown if values[index] >= THRESHOLD],
        "probability": max(values),
        "probabilities": {labels[index]: values[index] for index in shown},
    }


def worst_mistakes(split: Split, probabilities: Tensor, count: int = 5) -> list[Mistake]:
    """Return the wrong answers that the model was most certain of, the worst first.

    For tags and sound events, each clip and tag is one answer. Unknown tags (NaN) are left out.

    Args:
        split: Labels, and the names and labels of the test clips.
        probabilities: Probability of each class for each clip, ``(S, K)``.
        count: Largest number of mistakes.
    """
    targets, values = np.asarray(split.test.targets), probabilities.double().numpy()
    labels, names = split.labels, split.test.names
    if targets.ndim == 1:
        best = values.argmax(axis=1)
        certainty = np.where(best == targets, -1.0, values.max(axis=1))
        order = np.argsort(-certainty, kind="stable")[:count]
        return [
            Mistake(names[i], labels[targets[i]], labels[best[i]], float(values[i, best[i]]))
            for i in order.tolist()
            if certainty[i] >= 0
        ]
    error = np.nan_to_num(np.abs(values - targets), nan=0.0)
    order = np.argsort(-error, axis=None, kind="stable")[:count]
    places = [divmod(place, len(labels)) for place in order.tolist()]
    return [
        Mistake(names[i], labels[k], NOTHING, float(values[i, k]))
        if targets[i, k] >= THRESHOLD
        else Mistake(names[i], NOTHING, labels[k], float(values[i, k]))
        for i, k in places
        if error[i, k] and (values[i, k] >= THRESHOLD) != (targets[i, k] >= THRESHOLD)
    ]
