"""Predictions of exported files, how far two of them differ, and their scores on recordings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from frami.core.errors import UsageError
from frami.core.progress import ProgressCallback, silent
from frami.core.runtime import CPU
from frami.data.clips import Clips, Spectrograms, batches_by_length
from frami.data.recordings import Split
from frami.data.splits import align_labels, load_split, split_for_task
from frami.evaluate import fusion
from frami.evaluate.metric import Measure
from frami.evaluate.scores import measures_of, score_predictions
from frami.models.model import Model, ModelLike, as_model

BATCH_SIZE = 32
# Standardized spectrograms (B, F, N) to logits (B, K) and, for a detector, frame logits (B, K, N').
Predictor = Callable[[Tensor], Sequence[np.ndarray | Tensor]]


def predict(network: Predictor, clips: Clips) -> list[Tensor]:
    """Return the logits of each clip at its own length, ``(K,)``, or ``(K, 1 + N')`` for events."""
    logits = [torch.empty(0)] * len(clips.targets)
    for mel, indices in batches_by_length(clips, BATCH_SIZE):
        outputs = [torch.as_tensor(output) for output in network(mel)]
        joined = outputs[0]
        if len(outputs) > 1:
            joined = torch.cat([joined.unsqueeze(2), outputs[1]], dim=2)
        for index, one in zip(indices.tolist(), joined, strict=True):
            logits[index] = one
    return logits


def predict_torch(model: Model, clips: Clips) -> list[Tensor]:
    """Return what `predict` does for the model itself, in float32 on the CPU."""
    return fusion.predict([model], [clips], CPU)


def largest_difference(first: Sequence[Tensor], second: Sequence[Tensor]) -> float:
    """Return the largest absolute difference of two lists of logits."""
    pairs = zip(first, second, strict=True)
    return max(float((one - other).abs().max()) for one, other in pairs)


@dataclass(frozen=True)
class TestSet:
    """Recordings to score exported files on.

    Attributes:
        split: The held-out recordings.
        clips: Their spectrograms in the model's front end.
        measure: The measure that decides, and its name.
    """

    split: Split
    clips: Spectrograms
    measure: tuple[str, Measure]

    __test__ = False  # not a test of pytest

    def score(self, model: Model, logits: Sequence[Tensor]) -> dict[str, float]:
        """Return the value of every measure of the model's task."""
        scores: Mapping[str, Any] = score_predictions(model, self.split, self.clips, logits)
        return {name: float(scores[name]) for name in measures_of(model.task)}


def load_test_set(
    model: Model,
    dataset: str,
    data: str | Path | None,
    test_fold: str | int,
    *,
    strict: bool = False,
    report: ProgressCallback = silent,
) -> TestSet:
    """Return the held-out recordings of a data set, as a model takes them.

    ``strict`` refuses a data set with clips that cannot be used, instead of leaving them out.
    Reading them is a stage of the work of ``report``.

    Raises:
        UsageError: The data set, its folder or the fold does not exist, or the labels differ.
    """
    split = load_split(dataset, data, test_fold=test_fold, strict=strict)
    split = split_for_task(align_labels(split, model.labels), model.task)
    clips = Spectrograms.from_recordings(split.test, model.front_end, report=report)
    return TestSet(split, clips, next(iter(measures_of(model.task).items())))


def load_teacher(teacher: ModelLike, student: Model) -> Model:
    """Return the teacher of a student; refuse a model of other labels or another task."""
    model = as_model(teacher)
    if (model.labels, model.task) != (student.labels, student.task):
        raise UsageError(
            f"The teacher {model.fingerprint} has other labels or another task than the student. "
            f"Name the teacher that the student was distilled from."
        )
    return model
