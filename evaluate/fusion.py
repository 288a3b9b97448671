"""Late fusion: the mean of several models' class probabilities, each from its own front end.

Source: Pham et al., "Low-complexity deep learning frameworks for acoustic scene classification
using teacher-student scheme and multiple spectrograms", 2023, arXiv:2305.09463, with one model per
spectrogram. Differs: the mean is our choice.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from frami.core.progress import ProgressCallback, silent
from frami.core.runtime import Runtime
from frami.core.warn import warn
from frami.data.clips import Clips
from frami.evaluate.predictions import iter_predictions
from frami.models.answers import PROBABILITIES, look_like_probabilities
from frami.models.model import Model


def predict(
    models: Sequence[Model],
    clips: Sequence[Clips],
    runtime: Runtime,
    report: ProgressCallback = silent,
) -> list[Tensor]:
    """Return the fused logits of each clip, ``(K,)`` or ``(K, 1 + N')``; one model's are unchanged.

    A `FramiWarning` tells of a model that returns probabilities.

    Args:
        models: Models with the same classes, task and frame rate.
        clips: The same recordings, once per model, as spectrograms of its front end.
        runtime: The device to compute on.
        report: Called with the number of finished predictions, of all models.
    """
    report(0)
    logits: list[list[Tensor]] = []
    for model, own in zip(models, clips, strict=True):
        logits.append(_predict_one(model, own, runtime, report, sum(map(len, logits))))
        if logits[-1] and look_like_probabilities(model.task, clip_logits(logits[-1])):
            warn(PROBABILITIES)
    if len(models) == 1:
        return logits[0]
    task = models[0].network.task
    fused = []
    for first, *others in zip(*logits, strict=True):
        each = torch.stack([first, *(_match_length(other, first) for other in others)])
        # In float64: in float32, all probabilities very close to 1 would be equal.
        mean = task.class_probabilities(each.double()).mean(dim=0, keepdim=True)
        fused.append(task.to_logits(mean)[0].float())
    return fused


def _match_length(logits: Tensor, first: Tensor) -> Tensor:
    """Return logits with as many frames as the first model's; rounding may differ by one frame."""
    if logits.dim() == 1:
        return logits
    return logits[:, torch.arange(first.shape[1]).clamp_max(logits.shape[1] - 1)]


def predict_logits(model: Model, clips: Clips, runtime: Runtime) -> Tensor:
    """Return one model's clip logits ``(S, K)``, without frame logits."""
    return clip_logits(predict([model], [clips], runtime))


def clip_logits(logits: Sequence[Tensor]) -> Tensor:
    """Return the clip logits ``(S, K)``, without frame logits."""
    return torch.stack([values if values.dim() == 1 else values[:, 0] for values in logits])


def _predict_one(
    model: Model, clips: Clips, runtime: Runtime, report: ProgressCallback, done: int
) -> list[Tensor]:
    logits = [torch.empty(0)] * len(clips.targets)
    for batch, indices in iter_predictions(model, clips, runtime):
        for index, one in zip(indices.tolist(), batch.float(), strict=True):
            logits[index] = one
        done += len(indices)
        report(done)
    return logits
