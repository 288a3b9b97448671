"""Description of a store: text, plots of its clips, and one sound per class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from frami.core.errors import OperationError, UsageError
from frami.core.progress import ProgressCallback
from frami.core.runtime import select_runtime
from frami.core.text import format_bytes, format_mapping
from frami.data import repair
from frami.data.clips import indices_of_class
from frami.data.composition import describe_agreement, describe_coverage, describe_origins
from frami.data.merge import MERGED
from frami.data.recordings import Split
from frami.data.shards import describe_shards
from frami.data.splits import align_labels, split_for_task
from frami.data.store import Store, store_run_folder
from frami.models.model import ModelLike, as_model
from frami.reporting import feature_map, spectrograms
from frami.reporting.describe import (
    Rows,
    format_frame_range,
    format_front_end,
    load_test_clips,
    loss_plot,
    write_files,
)
from frami.reporting.sounds import file_label, listenable, to_wav

LAST_ROUNDS = 5


def describe_store(
    store: Store,
    out: Path | None,
    split: Split | None,
    teacher: ModelLike | None,
    device: str,
    report: ProgressCallback,
) -> Rows:
    """Return the rows on a store; with ``out``, write its plots and sounds there."""
    rows = [
        ("store", f"{store.path} ({format_bytes(store.path.stat().st_size)})"),
        *_describe_clips(store),
        *_describe_methods(store),
        ("teacher", store.teacher),
        ("front end", format_front_end(store.front_end)),
        ("labels", f"{len(store.labels)}: {', '.join(store.labels)}"),
    ]
    if out is None:
        return rows
    real = None
    if split is not None:
        split = split_for_task(align_labels(split, store.labels), store.task)
        real = load_test_clips(split, store.front_end, report)
    grid = spectrograms.spectrogram_grid(store, store.front_end, store.labels, real)
    plots = {"grid": grid} | loss_plot(store_run_folder(store.path))
    if teacher is not None:
        model = as_model(teacher)
        if model.front_end != store.front_end or model.labels != store.labels:
            raise UsageError(
                f"{store.path} has another front end or other labels than `teacher`; it was made "
                f"from the teacher {store.teacher}."
            )
        select_runtime(device, precision="float32").place(model.network)
        plots["features"] = feature_map.feature_map(model, store, real)
    try:
        sounds = _class_sounds(store)
    except UsageError as error:
        rows.append(("sounds", f"none: {error}"))
        return rows + write_files(out, plots, {})
    return rows + write_files(out, plots, sounds)


def check_clips(path: Path) -> str:
    """Return what a check of all clips found; raise if one is damaged."""
    condition = repair.verify(path)
    if len(condition.lost):
        raise OperationError(
            f"{path} is damaged. {condition.describe()} To keep the good clips, run: frami repair "
            f"{path} --out NEW.h5"
        )
    return condition.describe()


def _describe_methods(store: Store) -> Rows:
    """Return one row for each method of the store, with its settings.

    A merged store has several runs, and a run can mix several methods.
    """
    runs = store.settings.get(MERGED) or [{"settings": store.settings}]
    rows = []
    for run in runs:
        settings = dict(run["settings"])
        mixed, name = settings.pop("mix", []), settings.pop("method", store.method)
        rows.append(("method", f"{name}: {format_mapping(settings)}"))
        for part in mixed:
            of_part = {"share": part["share"], **part["options"]}
            rows.append(("mixed in", f"{part['method']}: {format_mapping(of_part)}"))
    return rows


def _describe_clips(store: Store) -> Rows:
    if not len(store):
        return [("clips", "none yet")]
    counts = [len(indices_of_class(store, k)) for k in range(len(store.labels))]
    confidence = probabilities(store).max(axis=1).mean()
    frame_range = (int(store.n_frames.min()), int(store.n_frames.max()))
    losses = format_mapping(_recent_losses(store)) or "none"
    return [
        ("clips", f"{len(store):,}, {min(counts)} to {max(counts)} per class"),
        ("frame range", format_frame_range(store.front_end, frame_range)),
        ("composition", describe_origins(store)),
        *[("plan", text) for text in filter(None, [describe_shards(store)])],
        *[("agreement", text) for text in filter(None, [describe_agreement(store)])],
        ("predicted", f"Classes that the teacher predicts: {describe_coverage(store)}"),
        ("confidence", f"{confidence:.2f}, mean of the teacher's highest probability per clip"),
        ("losses", f"{losses} (mean of the last {LAST_ROUNDS} rounds)"),
    ]


def _recent_losses(store: Store) -> dict[str, float]:
    """Return the mean of each loss over the last rounds; NaN marks a loss that was not yet used."""
    rounds = store.column("round")
    # A method without losses has an unnamed column.
    losses = store.column("losses")[:, : len(store.loss_names)]
    recent = losses[rounds > rounds.max() - LAST_ROUNDS]
    used = ~np.isnan(recent).all(axis=0)
    names = np.array(store.loss_names, str)[used].tolist()
    return dict(zip(names, np.nanmean(recent[:, used], axis=0).tolist(), strict=True))


def probabilities(store: Store) -> NDArray[Any]:
    """Return the teacher's probabilities ``(S, K)``."""
    logits = torch.from_numpy(store.column("teacher_logits")).double()
    probabilities = logits.softmax(dim=1) if store.targets.ndim == 1 else logits.sigmoid()
    return np.asarray(probabilities)


def _class_sounds(store: Store) -> dict[str, bytes]:
    """Return WAV files by name: per class the clip with the teacher's highest probability.

    If some of the clips are inverted, only those count.
    """
    of_class, sounds = probabilities(store), {}
    for k, label in enumerate(store.labels):
        indices = spectrograms.inverted_of_class(store, k)
        if not len(indices):
            continue
        best = int(indices[of_class[indices, k].argmax()])
        sound = listenable(store.front_end, store.mel(best))
        name = f"{k:02}_{file_label(label)}.wav"
        sounds[name] = to_wav(sound, store.front_end.sample_rate)
    return sounds
