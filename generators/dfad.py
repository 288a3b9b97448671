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

from frami.core.runtime import Machine
from frami.core.settings import weight
from frami.inversion import adversarial as duel
from frami.inversion import losses as priors
from frami.inversion.hooks import Heard
from frami.models.model import Model
from frami.models.network import Output


@dataclass(frozen=True, kw_only=True)
class Settings(duel.Settings):
    """Every number of DFAD."""

    adversary: float = weight(1.0, "weight of the difference that the generator looks for")


class Generator:
    """The duel of DFAD."""

    def __init__(self, teacher: Model, settings: Settings, machine: Machine, seed: int) -> None:
        played = duel.Duel(teacher, settings, losses, machine, seed, priors.apart)
        self.round, self.state, self.load = played.round, played.state, played.load


def losses(heard: Heard, student: Callable[[], Output]) -> Mapping[str, Callable[[], Tensor]]:
    """Return what DFAD asks of clips."""
    return {"adversary": lambda: priors.distance(heard.said, student())}
