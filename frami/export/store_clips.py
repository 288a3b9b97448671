"""The clips of a store that an export uses: to calibrate, to choose between settings, and to test.

The three sets share no clip. The test clips are those that no student is trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from frami.core.errors import OperationError, UsageError
from frami.core.files import expand
from frami.core.seeds import Stream, make_rng
from frami.core.text import count, preview
from frami.data.clips import Clips, crop_or_tile
from frami.data.store import Store, StoreSubset, train_holdout_split
from frami.models.model import Model

MIN_CLIPS = 16
# onnxruntime keeps every intermediate result of every calibration clip in memory.
MAX_CALIBRATION, MAX_FRAMES, MAX_SELECTION = 128, 128, 512
BATCH_SIZE = 16


@dataclass(frozen=True)
class StoreClips:
    """The clips of a store, in three sets.

    Attributes:
        store: The store.
        training: All clips but those held out.
        calibration: Clips that the ranges of 8-bit integers are taken from, for calibration.
        selection: Clips that choose the calibration method and the layers that stay float.
        held_out: Clips that the student was not trained on; all printed figures are of these.
        seed: Seed that chose the sets, and of the tuning.
    """

    store: Store
    training: StoreSubset
    calibration: StoreSubset
    selection: StoreSubset
    held_out: StoreSubset
    seed: int = 0

    def teacher_logits(self, subset: StoreSubset) -> Tensor:
        """Return the teacher's clip logits ``(S, K)``, as the store holds them."""
        return torch.from_numpy(self.store.column("teacher_logits")[subset.indices])


def open_store(samples: Store | str | Path, model: Model, seed: int = 0) -> StoreClips:
    """Return the clips of a store that fits a model, in three sets that ``seed`` chooses.

    Raises:
        UsageError: There is no such file, or the store is of another teacher, front end, task or
            labels.
        OperationError: The store is too small.
    """
    store = samples if isinstance(samples, Store) and samples.is_open else Store(_path(samples))
    _check(store, model)
    training, held_out = train_holdout_split(store)
    order = torch.randperm(
        len(training.indices), generator=make_rng(seed, Stream.CLIP_ORDER)
    ).numpy()
    n_calibration = min(MAX_CALIBRATION, len(order) // 2)
    indices = training.indices[order]
    return StoreClips(
        store,
        training,
        StoreSubset(store, indices[:n_calibration]),
        StoreSubset(store, np.sort(indices[n_calibration : n_calibration + MAX_SELECTION])),
        held_out,
        seed,
    )


def _path(samples: Store | str | Path) -> Path:
    return samples.path if isinstance(samples, Store) else expand(samples)


def _check(store: Store, model: Model) -> None:
    """Raise if the clips of a store are not what a model was made for."""
    teacher = str(model.provenance.get("teacher") or model.fingerprint)
    if store.teacher not in (*teacher.split("+"), model.fingerprint):
        raise UsageError(
            f"{store.path} was inverted from the teacher {store.teacher}, but this student needs a "
            f"store of {teacher}. Use the store that it was distilled from, or make one with frami "
            f"synthesize --teacher."
        )
    if store.front_end != model.front_end:
        raise UsageError(
            f"{store.path} was made for another front end than this student's. Use the store that "
            f"the student was distilled from."
        )
    if (store.task, store.labels) != (model.task, model.labels):
        raise UsageError(
            f"{store.path} is for the task {store.task} with {count(len(store.labels), 'class')} "
            f"({preview(store.labels)}), but this student's task is {model.task} with "
            f"{len(model.labels)} ({preview(model.labels)})."
        )
    source = model.provenance.get("source")
    if isinstance(source, Mapping) and source.get("settings") == store.settings:
        learned = source.get("clips")  # a bundle may hold anything
        if isinstance(learned, int) and learned > len(store):
            raise UsageError(
                f"{store.path} has only the first {len(store)} of the {learned} clips that the "
                f"student was distilled from, so it was trained on the last of them, which the "
                f"figures are of. Use the store that it was distilled from."
            )
    if len(store) < MIN_CLIPS:
        raise OperationError(
            f"{store.path} has {count(len(store), 'clip')}; calibration and test need at least "
            f"{MIN_CLIPS}. Run frami synthesize again to add clips."
        )


def calibration_batches(clips: Clips, indices: Sequence[int] | None = None) -> list[np.ndarray]:
    """Return clips as batches ``(B, F, N)`` of one length, cropped or repeated to their median.

    Some calibration methods cannot take batches that differ in size: clips that do not fill the
    last batch are left out, unless there is only one.
    """
    chosen = list(range(len(clips.n_frames))) if indices is None else list(indices)
    n_frames = min(MAX_FRAMES, int(np.median(clips.n_frames[chosen])))
    rng = make_rng(0, Stream.CROPS)
    size = min(BATCH_SIZE, len(chosen))
    mels = torch.stack([crop_or_tile(clips.mel(index), n_frames, rng) for index in chosen])
    whole = len(chosen) // size * size
    return [batch.numpy() for batch in torch.split(mels[:whole], size)]
