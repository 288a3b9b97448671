"""DFQ: adversarial generation with batch-norm moments, one-hot and class-balance losses.

Source: Choi et al., "Data-Free Network Quantization With Adversarial Knowledge Distillation", CVPR
Workshops 2020, arXiv:2005.04136. A generator is trained against a student to minimize

    L = - adversary KL( t(x) || s(x) ) + batch_norm L_BN + onehot CE(t(x), argmax t(x))
        + class_balance sum_k p_k ln p_k

with ``t`` and ``s`` the predictions of teacher and student, L_BN the distance of batch-norm moments
of Yin et al. (CVPR 2020), and ``p`` the mean probabilities of a batch.

Published: as run by Fang et al. (CMI, IJCAI 2021), weights 1, 1, 1 and 20, and ten steps of the
student to one of the generator.

Differs: A round has 20 iterations, where training goes on without rounds. The losses are computed
on audio views. A small proxy student takes the part of the student, which is distilled from the
store afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from frami.core.runtime import Runtime
from frami.core.settings import setting, weight
from frami.inversion.adversarial import AdversarialGenerator, AdversarialSettings
from frami.inversion.hooks import ForwardPass
from frami.inversion.loop import LossTerms
from frami.inversion.losses import batch_norm_loss, class_balance_loss, neg_kl, onehot_loss
from frami.inversion.proxy import adversary_weight
from frami.inversion.terms import batch_norm_weight, relative_setting
from frami.models.model import Model
from frami.models.network import Output


@dataclass(frozen=True, kw_only=True)
class Settings(AdversarialSettings):
    """Settings of DFQ."""

    iterations: int = setting(
        20, "iterations per round: one generator step, then the student's steps", low=1
    )
    student_steps: int = setting(10, "steps of the proxy student per iteration", low=0)
    adversary: float = adversary_weight(1.0)
    batch_norm: float = batch_norm_weight(1.0)
    relative: bool = relative_setting()
    onehot: float = weight(1.0, "weight of the one-hot loss")
    class_balance: float = weight(20.0, "weight of the class-balance loss")


def Method(teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> AdversarialGenerator:
    """Return the generator of DFQ."""

    def compute_losses(forward_pass: ForwardPass, student: Callable[[], Output]) -> LossTerms:
        output, stats = forward_pass.output, forward_pass.batch_norm
        return {
            "adversary": lambda: neg_kl(output, student()),
            "batch_norm": lambda: batch_norm_loss(
                stats.batch, stats.stored, relative=settings.relative
            ),
            "onehot": lambda: onehot_loss(output),
            "class_balance": lambda: class_balance_loss(output, base=math.e),
        }

    return AdversarialGenerator(teacher, settings, compute_losses, runtime, seed)
