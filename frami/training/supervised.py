"""Supervised training: from recordings to a teacher, or to a reference student."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from frami.audio.frontend import FrontEnd
from frami.core import processes, seeds
from frami.core.checks import check_integer
from frami.core.extension import chain_of
from frami.core.files import expand
from frami.core.progress import ProgressCallback, check_callback, silent
from frami.core.run import Run
from frami.core.run_runtime import select_run_runtime
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.core.settings import make_settings, setting, settings_to_json
from frami.core.shared_run import SharedRun
from frami.core.stopping import make_deadline
from frami.core.trackers import LogCallback, check_log, ignore
from frami.data.clips import Spectrograms
from frami.data.recordings import Recordings, Split, load_dataset
from frami.data.splits import load_split, require_training_clips, split_for_task
from frami.evaluate import complexity
from frami.models import bundle
from frami.models.architecture import Architecture
from frami.models.model import Model, load
from frami.models.pooling import ATTENTION
from frami.training import loop
from frami.training.recipes import find_recipe


@dataclass(frozen=True, kw_only=True)
class SupervisedSettings(loop.TrainingSettings):
    """Settings of supervised training."""

    steps: int = setting(1800, "number of steps", low=1)


class HasClipFormat(Protocol):
    """Sample rate and length of the clips of a data set."""

    @property
    def SAMPLE_RATE(self) -> int: ...

    @property
    def SECONDS(self) -> float: ...


def default_front_end(dataset: HasClipFormat) -> FrontEnd:
    """Return the front end for a data set.

    Words and notes get 80 frames a second and 40 bands, longer scenes 32 frames and 64 bands.
    """
    rate = min(16000, dataset.SAMPLE_RATE)
    window, hop, bands = (0.032, 0.0125, 40) if dataset.SECONDS <= 2 else (0.064, 0.03125, 64)
    length = round(window * rate)
    return FrontEnd(
        sample_rate=rate,
        n_fft=length,
        win_length=length,
        hop_length=round(hop * rate),
        n_mels=bands,
        f_max=rate / 2,
    )


def train(
    dataset: str,
    data: str | Path | None = None,
    *,
    test_fold: str | int,
    out: str | Path,
    network: str = "resnet",
    width: int | None = None,
    depth: int | None = None,
    pooling: str | None = None,
    front_end: FrontEnd | None = None,
    filterbank: str | None = None,
    options: Mapping[str, Any] | None = None,
    task: str | None = None,
    budget: str | complexity.Budget | None = None,
    more_steps: int = 0,
    strict: bool = False,
    stop_after: float | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    precision: str = "auto",
    report: ProgressCallback = silent,
    log: LogCallback = ignore,
) -> Model:
    """Train a network on the recordings outside the test fold; write its bundle and return it.

    The returned model is frozen. An interrupted run is resumed, and the model of a finished run is
    loaded.

    Args:
        dataset: A module of ``frami.datasets``.
        data: Folder of the data set, or a folder that contains it; by default ``FRAMI_DATA``.
        test_fold: The fold to hold out, as the data set's protocol names it.
        out: Folder for the bundle and the run's record.
        network: A module of ``frami.teachers`` or ``frami.students``.
        width: Channels of the network; None is the network's default.
        depth: Layers of the network; None is the network's default.
        pooling: For the task ``sound-events``, how frames are pooled to a clip: ``attention`` (the
            default), or a name of `frami.models.pooling.POOLINGS`.
        front_end: The input features; by default `default_front_end` of the data set. Its mean and
            deviation are replaced by those of the training clips.
        filterbank: A name of `frami.audio.filterbanks`; None is the front end's own.
        options: Settings of `SupervisedSettings`, by name.
        task: ``single-label``, ``multi-label`` or ``sound-events``; by default the task that the
            data set is annotated for.
        budget: A name of `frami.evaluate.complexity.BUDGETS`, or a budget of your own; a larger
            network is refused.
        more_steps: Train the model of a finished run for this number of steps more, from its
            weights and the optimizer's state, with a new cycle of the learning rate. The same
            number again, once it is done, trains nothing.
        strict: Refuse a data set with clips that cannot be used, instead of leaving them out.
        stop_after: Minutes after which the work stops, at a multiple of 20 steps; None: never.
        seed: Seed of the first weights, the order of the clips and their augmentation.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: CPU threads; None leaves the choice to torch.
        precision: ``auto``, ``float32`` or ``bfloat16``.
        report: Called with the number of finished steps.
        log: Called with the number of a step, and what metrics.jsonl gets for it.

    Raises:
        UsageError: The data set, fold, network or a setting is unknown, there are too few clips,
            the network exceeds the budget, or the folder contains something else.
        OperationError: A recording cannot be read, the loss is not finite, or the disk is full.
        Stopped: The time of ``stop_after`` was over. The same call continues.
    """
    check_callback(report)
    deadline = make_deadline(stop_after)
    check_log(log)
    settings, seed = make_settings(SupervisedSettings, options or {}), seeds.check_seed(seed)
    architecture = Architecture.from_options(network, width, depth, pooling)
    split = split_for_task(load_split(dataset, data, test_fold=test_fold, strict=strict), task)
    split = replace(split, train=split.train.labeled())
    require_training_clips(split)
    runtime = select_run_runtime(expand(out), device, threads, precision)
    config = {
        "dataset": dataset,
        "test_fold": str(test_fold),
        **_describe(architecture, front_end, settings, task=task, filterbank=filterbank),
        "seed": seed,
        "precision": runtime.precision,
    }
    front_end = front_end or default_front_end(split.clip_format or load_dataset(dataset))
    front_end = replace(front_end, filterbank=filterbank or front_end.filterbank)
    # A network that cannot be built, or is too large, is reported before the recordings are read.
    untrained = _build(architecture, front_end, split, seed)
    if budget:
        complexity.check_budget(budget, untrained)
    with SharedRun(
        expand(out),
        "train",
        config,
        keeps_state=True,
        more_steps=check_integer("more_steps", more_steps, 0),
        writes=bundle.BUNDLE_FILES,
        recordings=split.fingerprint,
        device=runtime.name,
        layout=runtime.layout,
        missing=split.missing,
        log=log,
        deadline=deadline,
    ) as run:
        if not run.finished:
            model, n_clips = _fit(untrained, split, settings, runtime, seed, run, report)
            provenance = {"clips": n_clips, "seed": seed, "settings": asdict(settings)}
            origin = {**split.origin, **provenance, **chain_of(run.content)}
            processes.from_first(lambda: model.save(out, **origin))
            run.finish(fingerprint=model.fingerprint)
        return load(out, trust_code=True)


def _describe(
    architecture: Architecture,
    front_end: FrontEnd | None,
    settings: SupervisedSettings,
    **chosen: str | None,
) -> dict[str, Any]:
    """Return what is trained and how, for the run's record."""
    pooling = architecture.pooling
    return {
        "network": architecture.network,
        "arguments": dict(architecture.arguments),
        "front_end": settings_to_json(front_end) if front_end else "for the data set",
        "options": asdict(settings),
        **({"pooling": pooling} if pooling != ATTENTION else {}),
        **{name: value for name, value in chosen.items() if value},
    }


def _build(architecture: Architecture, front_end: FrontEnd, split: Split, seed: int) -> Model:
    """Return a model of the split's labels and task, with the first weights of a seed."""
    with seeds.seeded(seed, Stream.WEIGHTS):
        return Model.build(architecture, front_end, split.labels, split.task)


def _fit(
    untrained: Model,
    split: Split,
    settings: SupervisedSettings,
    runtime: Runtime,
    seed: int,
    run: Run,
    report: ProgressCallback,
) -> tuple[Model, int]:
    """Return the trained model, and the number of its training clips."""
    clips, front_end = compute_spectrograms(split.train, untrained.front_end, report)
    model = replace(
        _build(untrained.architecture, front_end, split, seed),
        frame_range=frame_percentiles(clips),
    )
    recipe = find_recipe("labels")
    loop.fit(model, clips, recipe, settings, runtime, seed=seed, run=run, report=report)
    return model, len(clips.targets)


def compute_spectrograms(
    recordings: Recordings, front_end: FrontEnd, report: ProgressCallback = silent
) -> tuple[Spectrograms, FrontEnd]:
    """Return the standardized spectrograms of recordings, and the front end that computes them."""
    raw = Spectrograms.from_recordings(recordings, front_end.unstandardized, report=report)
    fitted = fit_standardization(front_end, raw)
    mels = [((mel.float() - fitted.mean) / fitted.std).half() for mel in raw.mels]
    return replace(raw, mels=mels), fitted


def fit_standardization(front_end: FrontEnd, clips: Spectrograms) -> FrontEnd:
    """Return the front end with the mean and deviation of some clips that were not standardized."""
    values = torch.cat([mel.float().flatten() for mel in clips.mels])
    return replace(
        front_end, mean=round(float(values.mean()), 4), std=round(float(values.std()), 4)
    )


def frame_percentiles(clips: Spectrograms) -> tuple[int, int]:
    """Return the 5th and 95th percentiles of the clips' lengths in frames, for use by inversion."""
    low, high = np.percentile(clips.n_frames, [5, 95])
    return int(low), int(high)
