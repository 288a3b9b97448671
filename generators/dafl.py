"""DAFL: a generator makes clips that the teacher is sure of, of all classes alike, and that excite it.

Source: Chen et al., "Data-Free Learning of Student Networks", ICCV 2019, arXiv:1904.01186:

    L = onehot CE(t(x), argmax t(x)) + balance sum_k p_k log10 p_k - activation mean |features|

with p the batch's mean probabilities. Published weights (MNIST): 1, 5, 0.1; generator and student step together.
Differs: statistics pooling gives the features; clips are judged as audio views; Adam at 1e-3, with a first beta of 0.5,
moves the generator, where 0.2 and 0.9 are published for a batch of 512; the student is distilled from the store
afterwards, as it has no say in the clips.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from frami.core.runtime import Runtime
from frami.core.settings import setting, weight
from frami.inversion import adversarial
from frami.inversion.hooks import ForwardPass
from frami.inversion.losses import activation_loss, class_balance_loss, onehot_loss
from frami.models.model import Model
from frami.models.network import Output


@dataclass(frozen=True, kw_only=True)
class Settings(adversarial.AdversarialSettings):
    """Every number of DAFL."""

    student_steps: int = setting(0, "steps of a student a turn; it has no say in the clips", low=0)
    onehot: float = weight(1.0, "weight of being sure of a class")
    class_balance: float = weight(5.0, "weight of the balance of classes")
    activation: float = weight(0.1, "weight of exciting the teacher")
    latent: int = setting(100, "size of the noise", low=1)


class Method:
    """The duel of DAFL."""

    def __init__(self, teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> None:
        played = adversarial.AdversarialGenerator(teacher, settings, losses, runtime, seed)
        self.run_round, self.state_dict, self.load_state_dict = (
            played.run_round,
            played.state_dict,
            played.load_state_dict,
        )


def losses(heard: ForwardPass, student: Callable[[], Output]) -> Mapping[str, Callable[[], Tensor]]:
    """Return what DAFL asks of clips; the student is not asked."""
    return {
        "onehot": lambda: onehot_loss(heard.output),
        "class_balance": lambda: class_balance_loss(heard.output),
        "activation": lambda: activation_loss(heard.output),
    }
