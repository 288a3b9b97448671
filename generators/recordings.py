"""The other-domain control: recordings of other sounds than the teacher's, instead of inversion.

What a student learns from them is what one gets for nothing wherever some recordings, of anything, may be used:

    frami synthesize --teacher TEACHER --method recordings --set dataset=fsdd --out samples.h5
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from frami.core import registry, seeds
from frami.core.errors import UsageError
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.core.settings import setting
from frami.data.clips import Spectrograms, crop_or_tile
from frami.data.splits import find_data_folder, load_split
from frami.inversion.loop import RoundResult
from frami.models.model import Model


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Whose recordings; those of the data set's last fold are left out."""

    dataset: str = setting("tones", "data set of the recordings")
    data: str = setting("", "its folder, or one that holds it; by default FRAMI_DATA", is_path=True)


class Method:
    """Draws recordings, and of each a part of the length asked for; the teacher says what class each is most like."""

    def __init__(self, teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> None:
        self.teacher, self.runtime, self.seed = teacher, runtime, seed
        folder = find_data_folder(settings.dataset, settings.data or None)
        folds = registry.load("datasets", settings.dataset).test_folds(folder)
        if not folds:
            raise UsageError(
                f"There is nothing of {settings.dataset} in {folder}; name another folder with --set data=DIR."
            )
        found = load_split(settings.dataset, folder, test_fold=folds[-1])
        if not len(found.train):
            raise UsageError(
                f"This copy of {settings.dataset} has no clips beside fold {folds[-1]}. {found.missing}"
            )
        self.recordings = {**found.origin, "fingerprint": found.fingerprint}
        self.clips = Spectrograms.from_recordings(found.train, teacher.front_end)

    def run_round(self, number: int, target: Tensor, frames: int) -> RoundResult:
        """Return parts of recordings, ``(B, F, frames)``; each pass over the data set hears every one once."""
        first, count = number * len(target), len(self.clips.mels)
        passes = range(first // count, (first + len(target) - 1) // count + 1)
        order = torch.cat(
            [
                torch.randperm(
                    count, generator=seeds.make_rng(self.seed, Stream.RECORDING_ORDER, index)
                )
                for index in passes
            ]
        )
        rng = seeds.make_rng(self.seed, Stream.ROUND, number)
        chosen = order[first % count :][: len(target)].tolist()
        mel = torch.stack([crop_or_tile(self.clips.mel(index), frames, rng) for index in chosen])
        mel = mel.clamp(*self.teacher.front_end.value_range).to(self.runtime.device)
        with torch.no_grad(), self.runtime.autocast():
            told = self.teacher.network(mel).task_logits
        return RoundResult(mel, {}, 0, self.teacher.network.task.decide(told))

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: a round depends on its number alone."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
