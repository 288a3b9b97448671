"""Reference models: the teacher's network, trained on halves of the pool.

Each leaves a file with its losses. Its weights are not kept, because they were trained on the
recordings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from frami.auditing.arrays import Arrays, compute_once
from frami.auditing.attacks import Flags, Floats
from frami.auditing.pool import Pool
from frami.auditing.settings import AuditSettings
from frami.auditing.shadows import Pipeline
from frami.auditing.signals import read_signal, subset
from frami.auditing.training import Trainer, halves
from frami.core import files
from frami.core.progress import ProgressCallback, silent
from frami.core.seeds import Stream, make_numpy_rng
from frami.prediction.loading import make_predictor

FOLDER = "references"


@dataclass(frozen=True)
class References:
    """The losses of models that were trained on known clips.

    Attributes:
        is_in: Whether a model was trained on a clip, ``(K, S)``.
        loss: Losses, ``(K, S)``.
        crop_loss: Mean losses over crops, ``(K, S)``.
    """

    is_in: Flags
    loss: Floats
    crop_loss: Floats

    def __len__(self) -> int:
        return len(self.loss)


@dataclass(frozen=True)
class Panel:
    """All models that the audit trained.

    Attributes:
        references: Models of the teacher's kind.
        shadows: Students of shadow pipelines.
    """

    references: References
    shadows: References


def train_panel(
    pool: Pool,
    trainer: Trainer,
    folder: Path,
    number: int,
    n_shadows: int,
    settings: AuditSettings,
    report: ProgressCallback = silent,
) -> Panel:
    """Return the losses of reference models and of shadow pipelines; finished ones are read.

    Args:
        pool: The clips.
        trainer: How a model is trained.
        folder: Folder of the audit.
        number: Number of reference models, even.
        n_shadows: Number of reference models that are also the teacher of a shadow pipeline, even.
        settings: Settings of the audit.
        report: Called with the number of finished training steps, those of students included.
    """
    rng = make_numpy_rng(trainer.seed, Stream.AUDIT_HALVES)
    is_in = halves(pool.groups, number, rng)
    files.ensure_dir(folder / FOLDER)
    models = [
        _Model(index, pool, is_in[index], trainer, folder / FOLDER, index < n_shadows, settings)
        for index in range(number)
    ]
    arrays, done = [], 0
    for model in models:
        arrays.append(model.read(partial(_add, report, done)))
        done += model.steps
        report(done)
    return Panel(
        _stack(is_in, arrays, ""),
        _stack(is_in[:n_shadows], arrays[:n_shadows], "shadow_"),
    )


def _add(report: ProgressCallback, before: int, step: int, note: str = "") -> None:
    report(before + step, note)


@dataclass(frozen=True)
class _Model:
    """One reference model, with its shadow pipeline if it has one.

    Attributes:
        index: Its number.
        pool: The clips.
        is_in: Whether it is trained on a clip, ``(S,)``.
        trainer: How it is trained.
        folder: Folder for its file.
        has_shadow: Whether it is the teacher of a shadow pipeline.
        settings: Settings of the audit.
    """

    index: int
    pool: Pool
    is_in: Flags
    trainer: Trainer
    folder: Path
    has_shadow: bool
    settings: AuditSettings

    @property
    def steps(self) -> int:
        """Number of training steps, those of the shadow student included."""
        return self.trainer.settings.steps + self.has_shadow * self.settings.shadow_steps

    def read(self, report: ProgressCallback) -> Arrays:
        """Return the losses; train the models that a file does not have yet."""
        return compute_once(self.folder / f"{self.index:03}", partial(self._train, report))

    def _train(self, report: ProgressCallback, work: Path) -> Arrays:
        pool, trainer, settings = self.pool, self.trainer, self.settings
        model = trainer.train(
            subset(pool.clips, np.flatnonzero(self.is_in)),
            work / "teacher",
            self.index,
            lambda step, note="": report(step, f"reference model {self.index + 1}; {note}"),
            recordings=pool.fingerprint,
        )
        signal = read_signal(make_predictor(model), pool.clips, settings, trainer.seed)
        arrays = signal.arrays()
        if self.has_shadow:
            first = trainer.settings.steps
            shadow = Pipeline(pool, settings, trainer).run(
                model,
                work,
                self.index,
                lambda step, note="": report(
                    first + step, f"shadow pipeline {self.index + 1}; {note}"
                ),
            )
            arrays |= shadow.arrays("shadow_")
        return arrays


def _stack(is_in: Flags, arrays: Sequence[Mapping[str, np.ndarray]], prefix: str) -> References:
    """Return the losses of some models as one panel."""
    loss, crop_loss = (
        np.array([one[f"{prefix}{name}"] for one in arrays]).reshape(is_in.shape)
        for name in ("loss", "crop_loss")
    )
    return References(is_in, loss, crop_loss)
