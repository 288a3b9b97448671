"""Canaries: odd clips with random labels, half of which join the training of a new teacher.

Whoever trains the teacher can measure its training in this way: which canaries took part was drawn
by lot, so members and others are exchangeable by construction. Source: Steinke, Nasr and Jagielski,
"Privacy Auditing with One (1) Training Run", NeurIPS 2023. We differ: the attack is the loss
threshold, and the intervals are those of `frami.auditing.roc`.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from frami.audio.synthesizer import sound
from frami.auditing.attacks import Flags, Floats
from frami.auditing.pool import Pool
from frami.auditing.references import load_arrays, save_arrays
from frami.auditing.signals import clip_losses, subset
from frami.auditing.training import Trainer
from frami.core.progress import ProgressCallback, silent
from frami.core.seeds import Stream, make_rng
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
    """Return the losses of canaries in a model trained on the members and on half of the canaries.

    Args:
        pool: The clips.
        trainer: How the model is trained.
        folder: Folder of the audit.
        number: Number of canaries, even.
        report: Called with the number of finished training steps.
    """
    file, work = folder / f"{NAME}.npz", folder / NAME
    canaries = make_canaries(pool, trainer, number)
    rng = np.random.default_rng(make_rng(trainer.seed, Stream.CANARIES, 1).initial_seed())
    is_in = rng.permutation(np.arange(number) < number // 2)
    if not file.is_file():
        members = subset(pool.clips, np.flatnonzero(pool.is_member))
        clips = _join(members, subset(canaries, np.flatnonzero(is_in)))
        # A number that no reference model has.
        model = trainer.train(clips, work, 10**6, report, recordings=pool.fingerprint, of=NAME)
        save_arrays(file, {"loss": clip_losses(make_predictor(model), canaries)})
    shutil.rmtree(work, ignore_errors=True)
    return Canaries(load_arrays(file)["loss"], is_in)


def make_canaries(pool: Pool, trainer: Trainer, number: int) -> Spectrograms:
    """Return random sounds of a random program, with random labels."""
    front_end = trainer.teacher.front_end
    seconds = front_end.seconds(int(np.median(pool.clips.n_frames)))
    samples = round(seconds * front_end.sample_rate)
    rng = np.random.default_rng(make_rng(trainer.seed, Stream.CANARIES).initial_seed())
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
