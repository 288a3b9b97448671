"""Agreement between a student and its teacher, which needs no labels: synthetic clips suffice."""

from __future__ import annotations

from frami.core.runtime import Runtime
from frami.data.clips import Clips
from frami.evaluate.fusion import predict_logits
from frami.models.model import Model


def teacher_agreement(teacher: Model, student: Model, clips: Clips, runtime: Runtime) -> float:
    """Return the share of clips that both models classify alike, in [0, 1], higher is better.

    For tags and sound events, the share is over all tags of all clips.
    """
    teacher_logits, student_logits = (
        predict_logits(model, clips, runtime) for model in (teacher, student)
    )
    return float(teacher.network.task.agreement_terms(teacher_logits, student_logits).mean())
