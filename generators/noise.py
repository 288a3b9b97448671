"""Noise: random clips in the front end's range. The control that inversion must beat.

Every value is drawn from N(0, 1), the distribution to which the front end standardizes its training
data, and clipped to the front end's range. The teacher is not used. Clips get the labels of the
targets, and a student learns from the teacher's outputs for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from frami.core import seeds
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.inversion.loop import RoundResult
from frami.inversion.method import MethodSettings
from frami.models.model import Model


@dataclass(frozen=True, kw_only=True)
class Settings(MethodSettings):
    """Noise has no settings."""


class Method:
    """Draw noise; rounds do not depend on one another."""

    def __init__(self, teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> None:
        self.front_end, self.seed = teacher.front_end, seed

    def run_round(self, index: int, target: Tensor, n_frames: int) -> RoundResult:
        """Return noise ``(B, F, n_frames)``, one clip for each target."""
        rng = seeds.make_rng(self.seed, Stream.ROUND, index)
        mel = torch.randn(len(target), self.front_end.n_mels, n_frames, generator=rng)
        return RoundResult(mel.clamp(*self.front_end.value_range), {}, 0)

    def state_dict(self) -> dict[str, Any]:
        """Return an empty state: a round depends on its index alone."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore nothing."""
