"""From recordings to a teacher, or to a reference student."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from frami.audio.frontend import FrontEnd
from frami.core import registry, seeds
from frami.core.progress import ProgressCallback, silent
from frami.core.run import Run
from frami.core.runtime import select_runtime
from frami.core.seeds import Stream
from frami.core.settings import make_settings, setting, settings_to_json
from frami.data.clips import Spectrograms
from frami.data.recordings import Recordings
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
    """How a network is trained on recordings."""

    steps: int = setting(1800, "number of steps", low=1)


def default_front_end(dataset: ModuleType) -> FrontEnd:
    """Return the front end for a data set: words and notes at 80 frames a second, longer scenes at 32."""
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


def fit_standardization(front_end: FrontEnd, clips: Spectrograms) -> FrontEnd:
    """Return the front end with the mean and the deviation that make ``clips`` (heard without) standard."""
    values = torch.cat([mel.float().flatten() for mel in clips.mels])
    return replace(
        front_end, mean=round(float(values.mean()), 4), std=round(float(values.std()), 4)
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
    budget: str | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    precision: str = "auto",
    report: ProgressCallback = silent,
) -> Model:
    """Train a network on the recordings outside the test fold; write its bundle and return it, frozen.

    A run that was cut off goes on where it was; one that is finished is loaded.

    Args:
        dataset: A module of ``frami.datasets``.
        data: Its folder, or one that holds it; by default ``FRAMI_DATA``.
        test_fold: What is left out, in the words of the data set's protocol.
        out: Folder of the bundle and of the run's record.
        network: A module of ``frami.teachers`` or ``frami.students``.
        width: Channels of the network; None is its default.
        depth: Layers of the network; None is its default.
        pooling: Of the task ``frames``, how frames make up a clip: ``attention`` (by default), or a name of
            `frami.network.POOLINGS`.
        front_end: What it hears through; by default what suits the data set. Mean and deviation are measured here.
        filterbank: A name of `frami.filterbanks`; None is that of the front end.
        options: Other `Settings`, by name.
        task: ``single-label``, ``multi-label`` or ``frames``; by default what the data set is annotated for.
        budget: A name of `frami.evaluate.complexity.BUDGETS`, beyond which a network is refused.
        seed: Of the first weights, the order of the clips and their alterations.
        device: ``auto``, ``cpu``, ``cuda``.
        threads: Threads of the CPU; None leaves torch's choice.
        precision: ``auto``, ``float32`` or ``bfloat16``.
        report: Called with the number of finished steps.

    Raises:
        WrongUse: an unknown data set, fold, network or setting, too few clips, a network beyond the budget, or a folder that
            holds something else.
        Failed: a recording that cannot be read, a loss that is no number, or a disk that is full.
    """
    chosen, seed = make_settings(SupervisedSettings, options or {}), seeds.check_seed(seed)
    built = Architecture.from_options(network, width, depth, pooling)
    split = split_for_task(load_split(dataset, data, test_fold=test_fold), task)
    split = replace(split, train=split.train.labeled())
    require_training_clips(split)
    runtime = select_runtime(device, threads, precision)
    facts = {
        "dataset": dataset,
        "test_fold": str(test_fold),
        "network": network,
        "arguments": dict(built.arguments),
        "front_end": settings_to_json(front_end) if front_end else "for the data set",
        "options": asdict(chosen),
        **({"task": task} if task else {}),
        **({"filterbank": filterbank} if filterbank else {}),
        **({"pooling": built.pooling} if built.pooling != ATTENTION else {}),
        "seed": seed,
        "precision": runtime.precision,
    }
    heard_through = front_end or default_front_end(registry.load("datasets", dataset))
    if filterbank:
        heard_through = replace(heard_through, filterbank=filterbank)
    with seeds.seeded(
        seed, Stream.WEIGHTS
    ):  # what cannot be built is refused before the recordings are read
        first = Model.build(built, heard_through, split.labels, split.task)
    if budget:
        complexity.check_budget(budget, first)
    with Run(
        Path(out),
        "train",
        facts,
        writes=bundle.BUNDLE_FILES,
        recordings=split.fingerprint,
        device=runtime.name,
        missing=split.missing,
    ) as run:
        if run.finished:
            return load(out, trust_code=True)
        clips, front_end = compute_spectrograms(split.train, heard_through)
        with seeds.seeded(seed, Stream.WEIGHTS):
            model = Model.build(
                built,
                front_end,
                split.labels,
                task=split.task,
                frame_range=frame_percentiles(clips),
            )
        loop.fit(
            model, clips, find_recipe("labels"), chosen, runtime, seed=seed, run=run, report=report
        )
        model.save(
            out,
            **split.origin,
            clips=len(clips.targets),
            seed=seed,
            settings=asdict(chosen),
        )
        run.finish(fingerprint=model.fingerprint)
        return load(out, trust_code=True)


def compute_spectrograms(
    recordings: Recordings, front_end: FrontEnd
) -> tuple[Spectrograms, FrontEnd]:
    """Return the standardised spectrograms of recordings, and the front end that gives them."""
    raw = Spectrograms.from_recordings(recordings, front_end.unstandardized)
    fitted = fit_standardization(front_end, raw)
    mels = [((mel.float() - fitted.mean) / fitted.std).half() for mel in raw.mels]
    return replace(raw, mels=mels), fitted


def frame_percentiles(clips: Spectrograms) -> tuple[int, int]:
    """Return the 5th and the 95th percentile of the clips' frames: the lengths that an inversion should draw."""
    low, high = np.percentile(clips.n_frames, [5, 95])
    return int(low), int(high)
