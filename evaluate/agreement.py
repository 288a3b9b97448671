"""How often does a student give the class that its teacher gives? A data-free user can ask this on synthetic clips."""

from __future__ import annotations

from frami.clips import Clips
from frami.evaluate.accuracy import classes_heard
from frami.machine import Machine
from frami.model import Model


def agreement(teacher: Model, student: Model, clips: Clips, where: Machine) -> float:
    """Return the part of the clips to which both give the same class, in [0, 1]; higher is better."""
    return float((classes_heard(teacher, clips, where) == classes_heard(student, clips, where)).mean())
