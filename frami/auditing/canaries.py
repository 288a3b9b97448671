"""Train a new teacher with canaries: artificial sounds with random labels.

Half of the canaries, drawn by lot, join the members in training. So canaries in training and other
canaries are exchangeable by construction, and a difference of their losses is leakage.

Source: Steinke, Nasr and Jagielski, "Privacy Auditing with One (1) Training Run", NeurIPS 2023. We
differ: the attack is the loss threshold, and the intervals are those of `frami.auditing.roc`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from frami.audio.synthesizer import sound
from frami.auditing.arrays import Arrays, compute_once
from frami.auditing.attacks import Flags, Floats
from frami.auditing.pool import Pool
from frami.auditing.signals import clip_losses, subset
from frami.auditing.training import Trainer
from frami.core.progress import ProgressCallback, silent
from frami.core.seeds import Stream, make_numpy_rng
from frami.data.clips import Spectrograms
from frami.prediction.loading import make_predictor

NAME = "canaries"
FEWEST = 60  # 30 of them are others: enough for a false-positive rate of 10 %


@dataclass(frozen=True)
class Canaries:
    """The canaries of a trained model.

    Attributes:
        loss: Loss of each canary, ``(C,)``.
        is_in: Whether the model was trained on it, ``(C,)``.
    """

    loss: Floats
    is_in: Flags


def train_with_canaries(
    pool: Pool,
    trainer: Trainer,
    folder: Path,
    number: int,
    report: ProgressCallback = silent,
) -> Canaries:
    """Return the losses of canaries for a model trained on the members and half of the canaries.

    Args:
        pool: The clips.
        trainer: How the model is trained.
        folder: Folder of the audit.
        number: Number of canaries, even.
        report: Called with the number of finished training steps.
    """
    canaries = make_canaries(pool, trainer, number)
    rng = make_numpy_rng(trainer.seed, Stream.CANARIES, 1)
    is_in = rng.permutation(np.arange(number) < number // 2)

    def train(work: Path) -> Arrays:
        members = subset(pool.clips, np.flatnonzero(pool.is_member))
        clips = _join(members, subset(canaries, np.flatnonzero(is_in)))
        # A number that no reference model has.
        model = trainer.train(clips, work, 10**6, report, recordings=pool.fingerprint, of=NAME)
        return {"loss": clip_losses(make_predictor(model), canaries)}

    return Canaries(compute_once(folder / NAME, train)["loss"], is_in)


def make_canaries(pool: Pool, trainer: Trainer, number: int) -> Spectrograms:
    """Return random sounds of a random program, with random labels."""
    front_end = trainer.teacher.front_end
    seconds = front_end.seconds(int(np.median(pool.clips.n_frames)))
    samples = round(seconds * front_end.sample_rate)
    rng = make_numpy_rng(trainer.seed, Stream.CANARIES)
    mels = []
    for _ in range(number):
        waveform = torch.from_numpy(sound(rng, samples, front_end.sample_rate))
        with torch.no_grad():
            mels.append(front_end(waveform).half())
    classes = len(trainer.teacher.labels)
    targets: np.ndarray = rng.integers(classes, size=number)
    if pool.clips.targets.ndim > 1:
        targets = np.eye(classes, dtype=np.float32)[targets]
    n_frames = np.array([mel.shape[1] for mel in mels], dtype=np.int64)
    return Spectrograms(mels, n_frames, targets)


def _join(first: Spectrograms, second: Spectrograms) -> Spectrograms:
    return Spectrograms(
        [*first.mels, *second.mels],
        np.concatenate([first.n_frames, second.n_frames]),
        np.concatenate([first.targets, second.targets]),
    )
