"""Random spectrograms that are smooth over time."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from frami.core import seeds
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.core.settings import setting
from frami.inversion.loop import RoundResult
from frami.inversion.method import MethodSettings
from frami.models.model import Model


@dataclass(frozen=True, kw_only=True)
class Settings(MethodSettings):
    """Settings of the smoothed noise."""

    smooth: int = setting(5, "frames to average over", low=1, high=99)


class Method:
    """Draw noise and average it over time."""

    def __init__(self, teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> None:
        self.front_end, self.settings, self.seed = teacher.front_end, settings, seed

    def run_round(self, index: int, target: Tensor, n_frames: int) -> RoundResult:
        """Return one clip ``(F, n_frames)`` for each target."""
        rng = seeds.make_rng(self.seed, Stream.ROUND, index)
        smooth = self.settings.smooth
        shape = len(target), self.front_end.n_mels, n_frames + smooth - 1
        mel = torch.randn(shape, generator=rng).unfold(2, smooth, 1).mean(dim=3) * smooth**0.5
        return RoundResult(mel.clamp(*self.front_end.value_range), {}, 0)

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: a round depends on its index alone."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore nothing."""
