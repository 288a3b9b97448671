"""DFQ: adversarial as ZSKT, with clips that match the teacher's batch-norm moments, sure of a class, of all alike.

Source: Choi et al., "Data-Free Network Quantization With Adversarial Knowledge Distillation", CVPR Workshops 2020,
arXiv:2005.04136, with the weights and turns of Fang et al. (CMI, IJCAI 2021): adversary 1, moments 1, sureness 1,
balance 20 (of an entropy in nats), ten steps of the student to one of the generator. Differs: rounds of 20 turns, where it
goes on without rounds; clips are judged as audio views; a small student in the making stands for the one that is distilled
from the store afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from frami.core.runtime import Runtime
from frami.core.settings import setting, weight
from frami.inversion import adversarial
from frami.inversion.hooks import ForwardPass
from frami.inversion.losses import batch_norm_loss, class_balance_loss, neg_kl, onehot_loss
from frami.models.model import Model
from frami.models.network import Output


@dataclass(frozen=True, kw_only=True)
class Settings(adversarial.AdversarialSettings):
    """Every number of DFQ."""

    turns: int = setting(20, "turns of generator and student a round", low=1)
    student_steps: int = setting(10, "steps of the student a turn", low=0)
    adversary: float = weight(1.0, "weight of the divergence that the generator looks for")
    batch_norm: float = weight(1.0, "weight of the batch-norm moments")
    relative: bool = setting(
        False, "take the moments relative to the teacher's spread; published: as they are"
    )
    onehot: float = weight(1.0, "weight of being sure of a class")
    class_balance: float = weight(20.0, "weight of the balance of classes")


class Method:
    """The duel of DFQ."""

    def __init__(self, teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> None:
        def losses(
            heard: ForwardPass, student: Callable[[], Output]
        ) -> Mapping[str, Callable[[], Tensor]]:
            said, seen = heard.output, heard.batch_norm
            return {
                "adversary": lambda: neg_kl(said, student()),
                "batch_norm": lambda: batch_norm_loss(
                    seen.batch, seen.stored, relative=settings.relative
                ),
                "onehot": lambda: onehot_loss(said),
                "class_balance": lambda: class_balance_loss(said, base=math.e),
            }

        played = adversarial.AdversarialGenerator(teacher, settings, losses, runtime, seed)
        self.run_round, self.state_dict, self.load_state_dict = (
            played.run_round,
            played.state_dict,
            played.load_state_dict,
        )
