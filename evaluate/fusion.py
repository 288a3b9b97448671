"""Late fusion: what several models say of a clip, each through a front end of its own, as the mean of probabilities.

Source: Pham et al., "Low-complexity deep learning frameworks for acoustic scene classification using teacher-student
scheme and multiple spectrograms", 2023, arXiv:2305.09463 (one model a spectrogram; mean is our choice).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from frami.core.runtime import Runtime
from frami.data.clips import Clips
from frami.evaluate.predictions import iter_predictions
from frami.models.model import Model


def predict(models: Sequence[Model], clips: Sequence[Clips], runtime: Runtime) -> list[Tensor]:
    """Return the answer (see `frami.tasks`) to each clip, ``(K,)`` or ``(K, 1 + N')``; of one model, its own.

    Args:
        models: They know the same classes, have one task, and judge as many frames of a clip.
        clips: The same recordings, as each of the models hears them.
        where: On what it is computed.
    """
    each = [_predict_one(model, heard, runtime) for model, heard in zip(models, clips, strict=True)]
    each = [
        [_match_length(one, first) for one, first in zip(said, each[0], strict=True)]
        for said in each
    ]
    if len(models) == 1:
        return each[0]
    task = models[0].network.task
    fused = []
    for said in zip(*each, strict=True):
        # In float32, all that is beyond doubt would be equally likely.
        probable = task.class_probabilities(torch.stack(said).double()).mean(dim=0, keepdim=True)
        fused.append(task.to_logits(probable)[0].float())
    return fused


def _match_length(answer: Tensor, first: Tensor) -> Tensor:
    """Return an answer with as many frames as the first has: sample rates may differ, and their rounding by one frame."""
    if answer.dim() == 1:
        return answer
    return answer[:, torch.arange(first.shape[1]).clamp_max(answer.shape[1] - 1)]


def predict_logits(model: Model, clips: Clips, runtime: Runtime) -> Tensor:
    """Return one model's logits of every clip, ``(S, K)``."""
    return clip_logits(predict([model], [clips], runtime))


def clip_logits(answers: Sequence[Tensor]) -> Tensor:
    """Return what answers say of their clips, ``(S, K)``; what they say of frames is left out."""
    return torch.stack([answer if answer.dim() == 1 else answer[:, 0] for answer in answers])


def _predict_one(model: Model, clips: Clips, runtime: Runtime) -> list[Tensor]:
    found = [torch.empty(0)] * len(clips.targets)
    for answer, chosen in iter_predictions(model, clips, runtime):
        for number, one in zip(chosen.tolist(), answer.float(), strict=True):
            found[number] = one
    return found
