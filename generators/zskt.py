"""ZSKT: zero-shot knowledge transfer by adversarial belief matching.

Source: Micaelli and Storkey, "Zero-shot Knowledge Transfer via Adversarial Belief Matching",
NeurIPS 2019, arXiv:1905.09768. A generator and a student play a two-player game over the divergence
of their predictions:

    min over the student, max over the generator:  KL( t(x) || s(x) )

with ``t`` and ``s`` the class probabilities of teacher and student.

Published: as run by Fang et al. (CMI, IJCAI 2021), five steps of the student to one of the
generator.

Differs: There is no attention transfer. The losses are computed on audio views. A small proxy
student takes the part of the student, which is distilled from the store afterwards; it is trained
at temperature 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from frami.core.runtime import Runtime
from frami.inversion.adversarial import AdversarialGenerator, AdversarialSettings
from frami.inversion.hooks import ForwardPass
from frami.inversion.loop import LossTerms
from frami.inversion.losses import neg_kl
from frami.inversion.proxy import adversary_weight
from frami.models.model import Model
from frami.models.network import Output


@dataclass(frozen=True, kw_only=True)
class Settings(AdversarialSettings):
    """Settings of ZSKT."""

    adversary: float = adversary_weight(1.0)


def Method(teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> AdversarialGenerator:
    """Return the generator of ZSKT."""
    return AdversarialGenerator(teacher, settings, compute_losses, runtime, seed)


def compute_losses(forward_pass: ForwardPass, student: Callable[[], Output]) -> LossTerms:
    """Return the loss of ZSKT's generator."""
    return {"adversary": lambda: neg_kl(forward_pass.output, student())}
