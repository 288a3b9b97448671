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
from frami.core import progress, seeds, settings
from frami.core import registry as catalog
from frami.core import runtime as machine
from frami.core.run import Run
from frami.data import recordings as datasets
from frami.data.clips import Spectrograms
from frami.evaluate import complexity
from frami.models import bundle
from frami.models.architecture import Architecture
from frami.models.model import Model, load
from frami.models.network import ATTENTION
from frami.training import loop as learn
from frami.training import recipes


@dataclass(frozen=True, kw_only=True)
class Settings(learn.Settings):
    """How a network is trained on recordings."""

    steps: int = settings.setting(1800, "number of steps", low=1)


def front_end_for(dataset: ModuleType) -> FrontEnd:
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


def standardised(front_end: FrontEnd, clips: Spectrograms) -> FrontEnd:
    """Return the front end with the mean and the deviation that make ``clips`` (heard without) standard."""
    values = torch.cat([mel.float().flatten() for mel in clips.mels])
    return replace(front_end, mean=round(float(values.mean()), 4), std=round(float(values.std()), 4))


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
    report: progress.Report = progress.silent,
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
    chosen, seed = settings.make(Settings, options or {}), seeds.checked(seed)
    built = Architecture.of(network, width, depth, pooling)
    split = datasets.for_task(datasets.split(dataset, data, test_fold=test_fold), task)
    split = replace(split, train=split.train.labelled())
    datasets.check_enough(split)
    where = machine.choose(device, threads, precision)
    facts = {
        "dataset": dataset,
        "test_fold": str(test_fold),
        "network": network,
        "arguments": dict(built.arguments),
        "front_end": settings.to_json(front_end) if front_end else "for the data set",
        "options": asdict(chosen),
        **({"task": task} if task else {}),
        **({"filterbank": filterbank} if filterbank else {}),
        **({"pooling": built.pooling} if built.pooling != ATTENTION else {}),
        "seed": seed,
        "precision": where.precision,
    }
    heard_through = front_end or front_end_for(catalog.load("datasets", dataset))
    if filterbank:
        heard_through = replace(heard_through, filterbank=filterbank)
    with seeds.seeded(seed, 0):  # what cannot be built is refused before the recordings are read
        first = Model.build(built, heard_through, split.labels, split.task)
    if budget:
        complexity.within(budget, first)
    with Run(
        Path(out),
        "train",
        facts,
        writes=bundle.FILES,
        recordings=split.fingerprint,
        device=where.name,
        missing=split.missing,
    ) as run:
        if run.finished:
            return load(out, trust_code=True)
        clips, front_end = hear(split.train, heard_through)
        with seeds.seeded(seed, 0):
            model = Model.build(built, front_end, split.labels, task=split.task, frames=usual_frames(clips))
        learn.fit(model, clips, recipes.find("labels"), chosen, where, seed=seed, run=run, report=report)
        model.save(
            out,
            **split.origin,
            clips=len(clips.targets),
            seed=seed,
            settings=asdict(chosen),
        )
        run.finish(fingerprint=model.fingerprint)
        return load(out, trust_code=True)


def hear(recordings: datasets.Recordings, front_end: FrontEnd) -> tuple[Spectrograms, FrontEnd]:
    """Return the standardised spectrograms of recordings, and the front end that gives them."""
    raw = Spectrograms.of(recordings, front_end.unstandardised)
    fitted = standardised(front_end, raw)
    mels = [((mel.float() - fitted.mean) / fitted.std).half() for mel in raw.mels]
    return replace(raw, mels=mels), fitted


def usual_frames(clips: Spectrograms) -> tuple[int, int]:
    """Return the 5th and the 95th percentile of the clips' frames: the lengths that an inversion should draw."""
    low, high = np.percentile(clips.frames, [5, 95])
    return int(low), int(high)
