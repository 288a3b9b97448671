"""Parts of methods without optimization: clips of waveforms, labeled by the teacher's predictions.

A teacher may assign most of such clips to a few classes. `BalanceSettings` lets a method make more
clips than it keeps, so that rare classes are kept first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from frami.core import seeds
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.core.settings import setting
from frami.inversion.loop import RoundResult
from frami.inversion.method import MethodSettings
from frami.inversion.random_sounds import Waveforms, spectrograms
from frami.models.model import Model


@dataclass(frozen=True, kw_only=True)
class BalanceSettings(MethodSettings):
    """Settings of a method whose clips the teacher labels."""

    balance: int = setting(
        2,
        "clips made for each clip that is kept; those of the rarest predicted classes are kept, "
        "so a higher number gives more even classes",
        low=1,
        high=64,
    )


def label_by_teacher(teacher: Model, mel: Tensor, runtime: Runtime, keep: int) -> RoundResult:
    """Return ``keep`` of the clips ``(B, F, N)``, with the teacher's predictions as targets.

    The clips are clipped to the front end's range. With ``keep`` below B, `choose_balanced` chooses
    among them.
    """
    mel = mel.clamp(*teacher.front_end.value_range).to(runtime.device)
    with torch.no_grad(), runtime.autocast():
        output = teacher.network(mel)
    kept = choose_balanced(output.logits, keep).to(mel.device)
    target = teacher.network.task.decide(output.task_logits[kept])
    return RoundResult(mel[kept], {}, 0, target=target)


def choose_balanced(logits: Tensor, count: int) -> Tensor:
    """Return the indices ``(count,)`` of clips whose predicted classes are as even as possible.

    The class of a clip is the one with the highest logit. Clips are taken in turns: from each class
    its first clip, then its second one, and so on.

    Args:
        logits: The teacher's logits for the clips, ``(B, K)``.
        count: Number of clips to choose, up to B.
    """
    if count >= len(logits):
        return torch.arange(len(logits))
    predicted = logits.argmax(dim=1).tolist()
    seen: dict[int, int] = {}
    turns = []
    for label in predicted:
        turns.append(seen.get(label, 0))
        seen[label] = turns[-1] + 1
    order = np.argsort(turns, kind="stable")
    return torch.from_numpy(np.sort(order[:count]))


class WaveformMethod:
    """An inversion method that labels random waveforms; rounds do not depend on one another."""

    def __init__(
        self, waveforms: Waveforms, balance: int, teacher: Model, runtime: Runtime, seed: int
    ) -> None:
        self.waveforms, self.balance = waveforms, balance
        self.teacher, self.runtime, self.seed = teacher, runtime, seed

    def run_round(self, index: int, target: Tensor, n_frames: int) -> RoundResult:
        """Return spectrograms of waveforms ``(B, F, n_frames)``, and the teacher's predictions."""
        front_end, rng = self.teacher.front_end, seeds.make_rng(self.seed, Stream.ROUND, index)
        shape = (self.balance * len(target), front_end.n_mels, n_frames)
        mel = spectrograms(shape, front_end, rng, rng.initial_seed(), self.waveforms)
        return label_by_teacher(self.teacher, mel, self.runtime, len(target))

    def state_dict(self) -> dict[str, object]:
        """Return an empty state: a round depends on its index alone."""
        return {}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Restore nothing."""
