"""The answers of a model: one for each clip, and the worst mistakes among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
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


def clip_answers(
    split: Split, probabilities: Tensor, logits: Tensor | None = None
) -> list[dict[str, Any]]:
    """Return the answer for each test clip.

    Args:
        split: Labels, and the names and labels of the test clips.
        probabilities: Probability of each class for each clip, ``(S, K)``.
        logits: Their logits, ``(S, K)``. With them, the answer is that of the metrics also where
            the probabilities of several tags are rounded to 1.

    Returns:
        For each clip its name (``clip``), the true label (``truth``), the predicted label and its
        ``probability``. For tags and sound events, ``truth`` and ``predicted`` are lists (a tag is
        predicted from a probability of 0.5), and ``probabilities`` holds all tags above 0.01.
    """
    targets, names = np.asarray(split.test.targets), split.test.names
    if targets.ndim > 1:
        return [
            {"clip": name, **_tag_answer(split.labels, target, one.tolist())}
            for name, target, one in zip(names, targets, probabilities, strict=True)
        ]
    best = _best(probabilities, logits)
    certainty = probabilities[torch.arange(len(best)), best]
    return [
        {
            "clip": name,
            "truth": split.labels[target],
            "predicted": split.labels[k],
            "probability": p,
        }
        for name, target, k, p in zip(
            names, targets, best.tolist(), certainty.tolist(), strict=True
        )
    ]


def _best(probabilities: Tensor, logits: Tensor | None) -> Tensor:
    """Return the predicted class of each clip, ``(S,)``."""
    return (probabilities if logits is None else logits).argmax(dim=1)


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


def worst_mistakes(
    split: Split, probabilities: Tensor, logits: Tensor | None = None, count: int = 5
) -> list[Mistake]:
    """Return the wrong answers that the model was most certain of, the worst first.

    For tags and sound events, each clip and tag is one answer. Unknown tags (NaN) are left out.

    Args:
        split: Labels, and the names and labels of the test clips.
        probabilities: Probability of each class for each clip, ``(S, K)``.
        logits: Their logits; see `clip_answers`.
        count: Largest number of mistakes.
    """
    targets, values = np.asarray(split.test.targets), probabilities.double().numpy()
    labels, names = split.labels, split.test.names
    if targets.ndim == 1:
        best = _best(probabilities, logits).numpy()
        certainty = np.where(best == targets, -1.0, values[np.arange(len(best)), best])
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
