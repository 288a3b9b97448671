"""The suites, by name: what `frami bench --suite NAME` measures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import chain

from frami.bench import curves_suite, foreign_suite, recipe_suites, release_suite
from frami.bench.experiment import DataSource, Experiment
from frami.bench.sources import FRAMI, INVERTED, SHORT, method_sources
from frami.bench.tasks import ESC10, ESC50, FSDD, SMALL, TONES, URBANSOUND8K, other_dataset

# What each part of the inversion contributes: each row changes one thing.
ABLATIONS = (
    DataSource("no contrastive loss", "frami", synthesis={"contrast": 0.0}),
    DataSource("contrastive loss in every step", "frami", synthesis={"contrast_every": 1}),
    DataSource("with adversarial loss", "frami", synthesis={"adversary": 2.0}),
    DataSource("batch-norm statistics of one round", "frami", synthesis={"momentum": 0.0}),
    DataSource("siblings from the start", "frami", synthesis={"siblings_start": 0}),
    DataSource("twice the steps", "frami", synthesis={"steps": 20}),
    DataSource("clips as long as recordings", "frami", max_frames=1000),
    DataSource("batch-norm loss not relative", "frami", synthesis={"relative": False}),
    DataSource(
        "no recording conditions", "frami", synthesis={"level": 0.0, "filter": 0.0, "envelope": 0.0}
    ),
    DataSource("no random sounds", "frami", synthesis={"sounds": 0.0}),
    DataSource("no noise texture", "frami", synthesis={"noise_texture": 0.0}),
    DataSource("no hidden-state loss", "frami", distillation={"hidden": 0.0}),
    DataSource("no pooled-statistics loss", "frami", distillation={"stats": 0.0}),
    DataSource("own classifier head", "frami", "frami"),
    DataSource("logits only, own classifier head", "frami", "kd"),
    DataSource("whole clips", "frami", distillation={"max_frames": 1000}),
)


def ablation() -> Iterator[Experiment]:
    """Yield inverted clips with one change each, on folds that settings may be chosen on."""
    esc50 = replace(ESC50, fold="1", teacher_steps=800, samples=1024, steps=400)
    fsdd = replace(FSDD, fold="lucas", samples=1024, steps=600)
    for seed in range(3):
        for task in (esc50, fsdd):
            yield Experiment("ablation", task, SMALL, INVERTED, seed)
            for source in ABLATIONS:
                changed = replace(source, mix=INVERTED.mix, baseline=INVERTED.name)
                yield Experiment("ablation", task, SMALL, changed, seed)


def shards() -> Iterator[Experiment]:
    """Yield FRAMI with stores that were made in shards: each shard learns from its own rounds."""
    for seed in range(3):
        for task in (
            replace(ESC50, fold="1", teacher_steps=800, samples=2048, steps=800),
            replace(FSDD, fold="lucas", samples=2048, steps=800),
        ):
            for n_shards in (0, 2, 4, 8):
                name = f"FRAMI, {n_shards} shards" if n_shards else FRAMI.name
                source = replace(FRAMI, name=name, shards=n_shards)
                yield Experiment("shards", task, SMALL, source, seed)
            source = replace(source, name=f"{name}, warm start", warm_start=512)
            yield Experiment("shards", task, SMALL, source, seed)


def quick() -> Iterator[Experiment]:
    """Yield every method on generated tones; takes minutes and needs no recordings."""
    minimal = {"steps": 5, "iterations": 2, "proxy_start": 1}
    short = {
        method: {name: minimal[name] for name in settings} for method, settings in SHORT.items()
    }
    short["frami"] = {"steps": 5}
    for source in method_sources(short, None):
        yield Experiment("quick", TONES, SMALL, source, 0)


def gpu() -> Iterator[Experiment]:
    """Yield every method with published rounds and full budgets, on all folds of ESC-50."""
    for task in (FSDD, ESC10, URBANSOUND8K, *(replace(ESC50, fold=fold) for fold in "12345")):
        # As published, FastMeta's adversarial loss starts after 20 of 220 epochs, and NAYER's after
        # 200 of 800 rounds, with two rounds an epoch from then on.
        fastmeta = {"proxy_steps": 400, "proxy_start": task.samples // 64 // 11}
        nayer = {"proxy_steps": 200, "proxy_start": task.samples // 64 // 4}
        full = {"cmi": {"steps": 500, "proxy_steps": 400}, "fastmeta": fastmeta, "nayer": nayer}
        for seed in range(3):
            for source in method_sources(full, other_dataset(task)):
                yield Experiment("gpu", task, SMALL, source, seed)


def everything() -> Iterator[Experiment]:
    """Yield every row of the published pages: the suite release, then the smaller ones."""
    names = ("release", "curves", "ablation", "shards", "foreign", "tags", "scenes", "events")
    return chain.from_iterable(SUITES[name]() for name in names)


SUITES: Mapping[str, Callable[[], Iterator[Experiment]]] = {
    "quick": quick,
    "release": release_suite.release,
    "curves": curves_suite.curves,
    "audiomnist": release_suite.audiomnist,
    "ablation": ablation,
    "shards": shards,
    "gpu": gpu,
    "foreign": foreign_suite.foreign,
    **recipe_suites.SUITES,
    "all": everything,
}
