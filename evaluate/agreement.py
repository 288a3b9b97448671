"""How often does a student answer as its teacher does? A data-free user can ask this on synthetic clips."""

from __future__ import annotations

from frami.core.runtime import Machine
from frami.data.clips import Clips
from frami.evaluate.fusion import said
from frami.models.model import Model


def agreement(teacher: Model, student: Model, clips: Clips, where: Machine) -> float:
    """Return the part of the clips (of the tags of all clips) on which both choose the same, in [0, 1]."""
    return float(teacher.network.task.agree(said(teacher, clips, where), said(student, clips, where)).mean())
