"""Recordings: real recordings of other sounds than the teacher's. The control from another domain.

A student distilled from them is what inversion must beat wherever recordings of any kind may be
used. For example:

    frami synthesize --teacher TEACHER --method recordings --set dataset=fsdd --out samples.h5

Each pass over the data set uses every recording once; a random part of the requested length is cut
out, or the recording is repeated if it is shorter. Clips get the classes that the teacher predicts.
The last fold of the data set is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from frami.core import seeds
from frami.core.errors import UsageError
from frami.core.progress import ProgressCallback, silent
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.core.settings import setting
from frami.data.clips import Spectrograms, crop_or_tile
from frami.data.recordings import Recordings, contents_digest, load_dataset
from frami.data.splits import find_data_folder, load_split
from frami.inversion.loop import RoundResult
from frami.inversion.method import MethodSettings
from frami.models.model import Model


@dataclass(frozen=True, kw_only=True)
class Settings(MethodSettings):
    """Settings of the recordings; the last fold of the data set is left out."""

    dataset: str = setting("tones", "data set of the recordings")
    data: str = setting(
        "", "folder of the data set, or its parent folder; default: FRAMI_DATA", is_path=True
    )
    strict: bool = setting(
        False, "refuse a data set with clips that cannot be used", omit_default=True
    )


class Method:
    """Cut clips from recordings; rounds do not depend on one another."""

    def __init__(self, teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> None:
        self.teacher, self.runtime, self.seed = teacher, runtime, seed
        folder = find_data_folder(settings.dataset, settings.data or None)
        folds = load_dataset(settings.dataset).test_folds(folder)
        if not folds:
            raise UsageError(
                f"{folder} has no recordings of {settings.dataset}. Choose another folder with "
                "data=DIR in the method's settings."
            )
        split = load_split(settings.dataset, folder, test_fold=folds[-1], strict=settings.strict)
        if not len(split.train):
            raise UsageError(
                f"This copy of {settings.dataset} has no clips outside fold {folds[-1]}. "
                f"{split.missing}"
            )
        self.recordings = {**split.origin, "fingerprint": split.annotations_id}
        self.contents = contents_digest(split.train)
        self._train: Recordings = split.train
        self._clips: Spectrograms | None = None

    def read_recordings(self, report: ProgressCallback = silent) -> Spectrograms:
        """Return the recordings, which are read once."""
        if self._clips is None:
            self._clips = Spectrograms.from_recordings(
                self._train, self.teacher.front_end, report=report
            )
        return self._clips

    def run_round(self, index: int, target: Tensor, n_frames: int) -> RoundResult:
        """Return parts of recordings, ``(B, F, n_frames)``, and the teacher's predictions."""
        clips = self.read_recordings()
        first, count = index * len(target), len(clips.mels)
        passes = range(first // count, (first + len(target) - 1) // count + 1)
        order_rngs = (seeds.make_rng(self.seed, Stream.RECORDING_ORDER, k) for k in passes)
        order = torch.cat([torch.randperm(count, generator=rng) for rng in order_rngs])
        rng = seeds.make_rng(self.seed, Stream.ROUND, index)
        indices: list[int] = order[first % count :][: len(target)].tolist()
        mel = torch.stack([crop_or_tile(clips.mel(i), n_frames, rng) for i in indices])
        mel = mel.clamp(*self.teacher.front_end.value_range).to(self.runtime.device)
        with torch.no_grad(), self.runtime.autocast():
            logits = self.teacher.network(mel).task_logits
        return RoundResult(mel, {}, 0, target=self.teacher.network.task.decide(logits))

    def state_dict(self) -> dict[str, Any]:
        """Return an empty state: a round depends on its index alone."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore nothing."""
