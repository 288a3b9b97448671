"""DAFL: data-free learning with a generator judged by the teacher alone.

Source: Chen et al., "Data-Free Learning of Student Networks", ICCV 2019, arXiv:1904.01186. A
generator is trained from noise to minimize

    L = onehot CE(t(x), argmax t(x)) + class_balance sum_k p_k log10 p_k
        - activation mean |features|

with ``t(x)`` the teacher's logits and ``p`` the mean probabilities of a batch. The teacher should
be certain of a class, all classes should be equally frequent, and the features should be large.

Published: weights 1, 5 and 0.1 (MNIST); generator and student are updated together, in batches of
512.

Differs: The features are the teacher's pooled statistics. The losses are computed on audio views.
Adam updates the generator with learning rate 1e-3 and first beta 0.5, where 0.2 and 0.9 are
published. The student is distilled from the store afterwards, because it does not influence the
clips.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from frami.core.runtime import Runtime
from frami.core.settings import setting, weight
from frami.inversion.adversarial import AdversarialGenerator, AdversarialSettings
from frami.inversion.hooks import ForwardPass
from frami.inversion.loop import LossTerms
from frami.inversion.losses import activation_loss, class_balance_loss, onehot_loss
from frami.models.model import Model
from frami.models.network import Output


@dataclass(frozen=True, kw_only=True)
class Settings(AdversarialSettings):
    """Settings of DAFL."""

    student_steps: int = setting(
        0, "steps of a proxy student per iteration; it does not influence the clips", low=0
    )
    onehot: float = weight(1.0, "weight of the one-hot loss")
    class_balance: float = weight(5.0, "weight of the class-balance loss")
    activation: float = weight(0.1, "weight of the activation loss")
    latent: int = setting(100, "size of the noise vector", low=1)


def Method(teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> AdversarialGenerator:
    """Return the generator of DAFL."""
    return AdversarialGenerator(teacher, settings, compute_losses, runtime, seed)


def compute_losses(forward_pass: ForwardPass, student: Callable[[], Output]) -> LossTerms:
    """Return the losses of DAFL's generator."""
    output = forward_pass.output
    return {
        "onehot": lambda: onehot_loss(output),
        "class_balance": lambda: class_balance_loss(output),
        "activation": lambda: activation_loss(output),
    }
