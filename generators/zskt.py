"""ZSKT: a generator looks for clips on which the student's belief is far from the teacher's.

Source: Micaelli and Storkey, "Zero-shot Knowledge Transfer via Adversarial Belief Matching", NeurIPS 2019,
arXiv:1905.09768: both play for the divergence of the student from the teacher. One step of the generator to five of
the student, as Fang et al. ran it (CMI, IJCAI 2021). Differs: without attention transfer; clips are judged as audio
views; a small student in the making stands for the one that is distilled from the store afterwards, and it learns by
softened logits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from frami.core.runtime import Runtime
from frami.core.settings import weight
from frami.inversion import adversarial
from frami.inversion.hooks import ForwardPass
from frami.inversion.losses import neg_kl
from frami.models.model import Model
from frami.models.network import Output


@dataclass(frozen=True, kw_only=True)
class Settings(adversarial.AdversarialSettings):
    """Every number of ZSKT."""

    adversary: float = weight(1.0, "weight of the divergence that the generator looks for")


class Method:
    """The duel of ZSKT."""

    def __init__(self, teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> None:
        played = adversarial.AdversarialGenerator(teacher, settings, losses, runtime, seed)
        self.run_round, self.state_dict, self.load_state_dict = (
            played.run_round,
            played.state_dict,
            played.load_state_dict,
        )


def losses(heard: ForwardPass, student: Callable[[], Output]) -> Mapping[str, Callable[[], Tensor]]:
    """Return what ZSKT asks of clips."""
    return {"adversary": lambda: neg_kl(heard.output, student())}
