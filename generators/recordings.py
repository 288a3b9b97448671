"""The other-domain control: recordings of other sounds than the teacher's, instead of inversion.

What a student learns from them is what one gets for nothing wherever some recordings, of anything, may be used:

    frami synthesize --teacher TEACHER --method recordings --set dataset=fsdd --out samples.h5
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from frami.core import registry as catalog
from frami.core import seeds
from frami.core.errors import WrongUse
from frami.core.runtime import Machine
from frami.core.settings import setting
from frami.data import clips
from frami.data import recordings as datasets
from frami.inversion.loop import Inverted
from frami.models.model import Model


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Whose recordings; those of the data set's last fold are left out."""

    dataset: str = setting("tones", "data set of the recordings")
    data: str = setting("", "its folder, or one that holds it; by default FRAMI_DATA", place=True)


class Generator:
    """Draws recordings, and of each a part of the length asked for; the teacher says what class each is most like."""

    def __init__(self, teacher: Model, settings: Settings, machine: Machine, seed: int) -> None:
        self.teacher, self.machine, self.seed = teacher, machine, seed
        folder = datasets.folder_of(settings.dataset, settings.data or None)
        folds = catalog.load("datasets", settings.dataset).test_folds(folder)
        if not folds:
            raise WrongUse(
                f"There is nothing of {settings.dataset} in {folder}; name another folder with --set data=DIR."
            )
        found = datasets.split(settings.dataset, folder, test_fold=folds[-1])
        if not len(found.train):
            raise WrongUse(f"This copy of {settings.dataset} has no clips beside fold {folds[-1]}. {found.missing}")
        self.recordings = {**found.origin, "fingerprint": found.fingerprint}
        self.clips = clips.Spectrograms.of(found.train, teacher.front_end)

    def round(self, number: int, target: Tensor, frames: int) -> Inverted:
        """Return parts of recordings, ``(B, F, frames)``; each pass over the data set hears every one once."""
        first, count = number * len(target), len(self.clips.mels)
        passes = range(first // count, (first + len(target) - 1) // count + 1)
        order = torch.cat([torch.randperm(count, generator=seeds.generator(self.seed, 32, index)) for index in passes])
        draw = seeds.generator(self.seed, 20, number)
        chosen = order[first % count :][: len(target)].tolist()
        mel = torch.stack([clips.fit(self.clips.mel(index), frames, draw) for index in chosen])
        mel = mel.clamp(*self.teacher.front_end.range).to(self.machine.device)
        with torch.no_grad(), self.machine.autocast():
            told = self.teacher.network(mel).answer
        return Inverted(mel, {}, 0, self.teacher.network.task.decide(told))

    def state(self) -> dict[str, Any]:
        """Return nothing: a round depends on its number alone."""
        return {}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
