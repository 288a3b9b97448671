"""How often does a student answer as its teacher does? A data-free user can ask this on synthetic clips."""

from __future__ import annotations

from frami.core.runtime import Runtime
from frami.data.clips import Clips
from frami.evaluate.fusion import predict_logits
from frami.models.model import Model


def teacher_agreement(teacher: Model, student: Model, clips: Clips, runtime: Runtime) -> float:
    """Return the part of the clips (of the tags of all clips) on which both choose the same, in [0, 1]."""
    return float(
        teacher.network.task.agreement_terms(
            predict_logits(teacher, clips, runtime), predict_logits(student, clips, runtime)
        ).mean()
    )
