"""Agreement and divergence between a student and its teacher. Neither needs labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from frami.core.runtime import Runtime
from frami.data.clips import Clips
from frami.evaluate.fusion import clip_logits, predict_logits
from frami.models.model import Model

MIN_CLIPS = 3


def teacher_agreement(teacher: Model, student: Model, clips: Clips, runtime: Runtime) -> float:
    """Return the share of clips that both models classify alike, in [0, 1], higher is better.

    For tags and sound events, the share is over all tags of all clips.
    """
    logits = (predict_logits(model, clips, runtime).unbind() for model in (teacher, student))
    return agreement(teacher, *logits)


def agreement(model: Model, first: Sequence[Tensor], second: Sequence[Tensor]) -> float:
    """Return the share of clips that two lists of logits classify alike, in [0, 1].

    For tags and sound events, the share is over all tags of all clips.

    Args:
        model: A model with the task of the logits.
        first: Logits of each clip, ``(K,)`` or ``(K, 1 + N')``. Those of frames do not count.
        second: The same for the same clips.
    """
    terms = model.network.task.agreement_terms(clip_logits(first), clip_logits(second))
    return float(terms.mean())


def divergence(model: Model, first: Tensor, second: Tensor) -> float:
    """Return the mean over clips of KL(first || second) in nats, lower is better.

    For tags and sound events, the terms of a clip's tags are summed.

    Args:
        model: A model with the task of the logits.
        first: Logits ``(S, K)``, those of the teacher.
        second: The same for the student and the same clips.
    """
    terms = model.network.task.kl_terms(first, second)
    return max(0.0, float(terms.sum(dim=1).mean()))  # rounding can make it negative


def answers(model: Model, clips: Clips, runtime: Runtime) -> Tensor:
    """Return the class of each clip, ``(S, 1)``; 1 for each tag that is present, ``(S, K)``."""
    logits = predict_logits(model, clips, runtime)
    return model.network.task.log_probabilities(logits).argmax(dim=2)


def balanced_agreement(teacher: Model, student: Model, clips: Clips, runtime: Runtime) -> float:
    """Return the mean agreement over the classes that the teacher predicts, in [0, 1].

    For single labels, it is the mean over classes of the share of their clips that the student
    assigns to the same class. For tags and events, it is the mean over tags of two shares: of clips
    with the tag, and of clips without it. Alternatives with fewer than `MIN_CLIPS` clips do not
    count. If the teacher predicts one class for most clips, the plain agreement is high for every
    student; this one is not.
    """
    own, other = (answers(model, clips, runtime) for model in (teacher, student))
    rates, counts = [], []
    for alternative in range(int(own.max()) + 1):
        chosen = own == alternative
        counts.append(chosen.sum(dim=0))
        rates.append((chosen & (other == own)).sum(dim=0) / counts[-1])
    count = torch.cat(counts)
    return float(torch.cat(rates)[count >= count.max().clamp_max(MIN_CLIPS)].mean())
