"""The control: random input that matches the front end's range. What a student learns from it, inversion must beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from frami.core import seeds
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.inversion.loop import RoundResult
from frami.models.model import Model


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Noise has nothing to set: it has the mean 0 and the deviation 1 that the front end gives its training data."""


class Method:
    """Draws each value from N(0, 1), clipped to the front end's range; the target is whatever was asked for."""

    def __init__(self, teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> None:
        self.front_end, self.seed = teacher.front_end, seed

    def run_round(self, number: int, target: Tensor, frames: int) -> RoundResult:
        """Return noise ``(B, F, frames)``, one clip for each target."""
        rng = seeds.make_rng(self.seed, Stream.ROUND, number)
        mel = torch.randn(len(target), self.front_end.n_mels, frames, generator=rng)
        return RoundResult(mel.clamp(*self.front_end.value_range), {}, 0)

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: a round depends on its number alone."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
