"""DFAD: data-free adversarial distillation by the distance between logits.

Source: Fang et al., "Data-Free Adversarial Distillation", 2019, arXiv:1912.11006. A generator and a
student play a two-player game over the mean absolute difference of the logits:

    min over the student, max over the generator:  mean |t(x) - s(x)|

with ``t`` and ``s`` the logits of teacher and student.

Published: five steps of the student to one of the generator, Adam at 1e-3, noise of size 256,
batches of 256 clips.

Differs: The losses are computed on audio views, in batches of 64 clips by default. Adam's first
beta is 0.5 (theirs 0.9). A small proxy student takes the part of the student, which is distilled
from the store afterwards; it is trained with AdamW, and in eval mode when the generator is updated
(theirs is in training mode).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from frami.core.runtime import Runtime
from frami.inversion.adversarial import AdversarialGenerator, AdversarialSettings
from frami.inversion.hooks import ForwardPass
from frami.inversion.loop import LossTerms
from frami.inversion.losses import l1_distance, neg_l1
from frami.inversion.proxy import adversary_weight
from frami.models.model import Model
from frami.models.network import Output


@dataclass(frozen=True, kw_only=True)
class Settings(AdversarialSettings):
    """Settings of DFAD."""

    adversary: float = adversary_weight(1.0)


def Method(teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> AdversarialGenerator:
    """Return the generator of DFAD."""
    return AdversarialGenerator(teacher, settings, compute_losses, runtime, seed, l1_distance)


def compute_losses(forward_pass: ForwardPass, student: Callable[[], Output]) -> LossTerms:
    """Return the loss of DFAD's generator."""
    return {"adversary": lambda: neg_l1(forward_pass.output, student())}
