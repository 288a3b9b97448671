"""DFAD: a generator looks for clips on which student and teacher differ; the student learns to agree on them.

Source: Fang et al., "Data-Free Adversarial Distillation", 2019, arXiv:1912.11006: both play for the mean absolute
difference of the logits, five steps of the student to one of the generator (Adam at 1e-3, noise of 256). Differs:
clips are judged as audio views, and in rounds of 64 where 256 at once are published; Adam's first beta is 0.5 (theirs
0.9); a small student in the making, trained with AdamW and asked in eval mode (theirs in training mode), stands for the
one that is distilled from the store afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from frami.core.runtime import Runtime
from frami.core.settings import weight
from frami.inversion import adversarial
from frami.inversion.hooks import ForwardPass
from frami.inversion.losses import l1_distance, neg_l1
from frami.models.model import Model
from frami.models.network import Output


@dataclass(frozen=True, kw_only=True)
class Settings(adversarial.AdversarialSettings):
    """Every number of DFAD."""

    adversary: float = weight(1.0, "weight of the difference that the generator looks for")


class Method:
    """The duel of DFAD."""

    def __init__(self, teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> None:
        played = adversarial.AdversarialGenerator(
            teacher, settings, losses, runtime, seed, l1_distance
        )
        self.run_round, self.state_dict, self.load_state_dict = (
            played.run_round,
            played.state_dict,
            played.load_state_dict,
        )


def losses(heard: ForwardPass, student: Callable[[], Output]) -> Mapping[str, Callable[[], Tensor]]:
    """Return what DFAD asks of clips."""
    return {"adversary": lambda: neg_l1(heard.output, student())}
