"""How close a student is to its teacher, on the test fold and on all recordings it did not read.

A data-free student read no recording of the task. So the recordings that its teacher was trained on
can test it as well: a test fold of some hundred clips is often too small to tell two students
apart. For students of recordings, only the test fold counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from frami.audio.frontend import FrontEnd
from frami.core import files
from frami.core.runtime import Runtime
from frami.data.clips import Spectrograms, infinite_batches
from frami.data.recordings import Recordings, Split
from frami.data.splits import load_split, split_for_task
from frami.evaluate import fusion
from frami.evaluate.agreement import agreement, divergence
from frami.models.model import Model
from frami.training.norms import batch_statistics

MAX_UNHEARD = 1000
CACHED_SETS = 8
BATCH_SIZE = 64


@lru_cache(CACHED_SETS)
def load_test_set(
    dataset: str, data: str | None, fold: str, model_task: str, front_end: FrontEnd
) -> tuple[Split, Spectrograms]:
    """Return a split, and the spectrograms of its test fold."""
    split = split_for_task(load_split(dataset, data, test_fold=fold), model_task)
    return split, Spectrograms.from_recordings(split.test, front_end)


@lru_cache(CACHED_SETS)
def load_unheard(dataset: str, data: str | None, fold: str, front_end: FrontEnd) -> Spectrograms:
    """Return the spectrograms of `every_nth` recording outside a test fold."""
    split = load_split(dataset, data, test_fold=fold)
    return Spectrograms.from_recordings(every_nth(split.train), front_end)


def every_nth(recordings: Recordings) -> Recordings:
    """Return every n-th of some recordings, n being the smallest number that leaves 1,000."""
    step = max(1, -(-len(recordings) // MAX_UNHEARD))
    return recordings.subset(range(0, len(recordings), step))


def teacher_logits(
    folder: Path, part: str, teacher: Model, clips: Spectrograms, runtime: Runtime
) -> Tensor:
    """Return a teacher's logits ``(S, K)``; they are computed once and kept beside the teacher.

    Args:
        folder: Folder of the teacher.
        part: Name of the clips.
        teacher: The teacher.
        clips: The clips, as spectrograms of the teacher's front end.
        runtime: The device to compute on.
    """
    path = folder / f"logits-{part}-{teacher.fingerprint}.safetensors"
    if not path.is_file():
        logits = fusion.predict_logits(teacher, clips, runtime)
        files.write_bytes(path, save({"logits": logits}))
    return load_file(path)["logits"]


def closeness(teacher: Model, parts: Sequence[tuple[Tensor, Tensor]]) -> tuple[float, float]:
    """Return agreement and divergence over all clips of some parts.

    Args:
        teacher: The teacher of a single-label task.
        parts: Logits of the teacher and of the student, ``(S, K)`` each.

    Returns:
        The share of clips that both classify alike, and the mean of KL(teacher || student) in nats.
    """
    own, other = (torch.cat(logits) for logits in zip(*parts, strict=True))
    return agreement(teacher, own.unbind(), other.unbind()), divergence(teacher, own, other)


def transductive_accuracy(student: Model, clips: Spectrograms, runtime: Runtime) -> float:
    """Return the accuracy of a student whose batch norms take the statistics of test batches.

    Batches have 64 clips in random order, of similar length; a last, smaller one is left out.
    """
    hits = []
    n_batches = max(1, len(clips.targets) // BATCH_SIZE)
    with runtime.placed(student.network) as network, batch_statistics(network):
        for mel, target in islice(infinite_batches(clips, BATCH_SIZE, 0), n_batches):
            with torch.inference_mode():
                logits = network(mel.to(runtime.device)).logits.cpu()
            hits += (logits.argmax(dim=1) == target).tolist()
    return float(np.mean(hits))
