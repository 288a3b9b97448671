"""Suites that compare data-free methods, and take FRAMI apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from frami.bench import foreign_suite, recipe_suites
from frami.bench.experiment import BenchTask, DataSource, Experiment, StudentSpec

FRAMI = DataSource("FRAMI", "frami")
RECORDINGS = DataSource("recordings (upper bound)", None)
# Two ways to spend more, and still less than NAYER and CMI: optimize each clip, or make 8 times
# as many clips.
NO_SIBLINGS = replace(FRAMI, name="FRAMI, no siblings", synthesis={"siblings": 0})
MORE_CLIPS = replace(FRAMI, name="FRAMI, 8 times the clips")
LABELS = DataSource("recordings, labels only", None, "labels")
NOISE = DataSource("noise", "noise")

# 0.28 M and 0.12 M parameters at 50 classes, with the teacher's head and its projection.
RESNET = StudentSpec("resnet, width 18", "resnet", 18)
SMALL = StudentSpec("small, width 14", "small", 14)

FSDD = BenchTask(
    "fsdd", "takes", 500, 4096, 3000, target_teacher=0.98, target_ratio=0.99, minutes=8
)
ESC10 = BenchTask(
    "esc10", "5", 1000, 2048, 2500, target_teacher=0.85, target_ratio=0.95, minutes=20
)
ESC50 = BenchTask(
    "esc50", "5", 1500, 5120, 4000, target_teacher=0.68, target_ratio=0.95, minutes=40
)
URBANSOUND8K = BenchTask("urbansound8k", "3", 1200, 6144, 4000, target_ratio=0.95, minutes=40)
TONES = BenchTask("tones", "0", 150, 128, 60)

# What each part of FRAMI contributes: the first two add a loss, the others change one thing.
ABLATIONS = (
    DataSource("with contrastive loss", "frami", synthesis={"contrast": 0.2}),
    DataSource("with adversarial loss", "frami", synthesis={"adversary": 2.0}),
    DataSource("batch-norm statistics of one round", "frami", synthesis={"momentum": 0.0}),
    DataSource("no siblings", "frami", synthesis={"siblings": 0}),
    DataSource("half the steps", "frami", synthesis={"steps": 10}),
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

# Adaptive DeepInversion as CMI's authors run it: their total variation is a mean absolute
# difference, where the original is a sum of norms. Their batch-norm weight is the default here; the
# adversarial weight of 0.2 in the original paper goes with a batch-norm weight of 0.01.
ADAPTIVE = {
    "form": "cmi",
    "steps": 1000,
    "adversary": 1.0,
    "learning_rate": 0.1,
    "total_variation": 0.001,
}

# Rounds of the published length would take days on two cores; the tables show the settings.
SHORT: Mapping[str, Mapping[str, Any]] = {
    "deepinversion": {"steps": 50},
    "cmi": {"steps": 50},
    "dafl": {"iterations": 10},
    "dfad": {"iterations": 10},
    "zskt": {"iterations": 10},
    "dfq": {"iterations": 10},
    # With the default start, such short runs would end before the adversarial loss is used, or
    # soon after.
    "fastmeta": {"proxy_start": 2},
    "nayer": {"proxy_start": 2},
}


def main() -> Iterator[Experiment]:
    """Yield FRAMI and its bounds with full budgets; the most important rows come first."""
    for source in (FRAMI, RECORDINGS, LABELS, NOISE):
        for task in (FSDD, ESC50, URBANSOUND8K, ESC10):
            # Without a teacher, a student is trained for as many steps as the teacher was.
            length = task.teacher_steps if source is LABELS else task.steps
            for student in (RESNET, SMALL):
                yield Experiment("main", replace(task, steps=length), student, source, 0)


def ablation() -> Iterator[Experiment]:
    """Yield FRAMI with one change each, on folds that its settings may be chosen on."""
    # ESC-50 has the same teacher as in the suite cpu.
    esc50 = replace(ESC50, fold="1", teacher_steps=800, samples=1024, steps=400)
    fsdd = replace(FSDD, fold="lucas", samples=1024, steps=600)
    for seed in range(3):
        for task in (esc50, fsdd):
            yield Experiment("ablation", task, SMALL, FRAMI, seed)
            for source in ABLATIONS:
                yield Experiment(
                    "ablation", task, SMALL, replace(source, baseline=FRAMI.name), seed
                )


def method_sources(
    short: Mapping[str, Mapping[str, Any]], other_dataset: str | None
) -> Iterator[DataSource]:
    """Yield the sources of a comparison: the bounds, the controls, and each method.

    Args:
        short: Settings per method that differ from the published ones.
        other_dataset: Data set of other sounds, for the out-of-domain control; None leaves it out.
    """
    yield from (LABELS, RECORDINGS, NOISE)
    if other_dataset:
        yield DataSource(
            f"other recordings ({other_dataset})",
            "recordings",
            synthesis={"dataset": other_dataset},
        )
    yield DataSource("synthesizer", "synthesizer")
    yield DataSource("one clip", "one_clip")
    yield replace(FRAMI, synthesis=short.get("frami", {}))
    yield DataSource("DeepInversion", "deepinversion", synthesis=short.get("deepinversion", {}))
    yield DataSource(
        "DeepInversion, adaptive",
        "deepinversion",
        synthesis={**ADAPTIVE, **short.get("deepinversion", {})},
    )
    # With the batch-norm loss of FRAMI: is it this loss that makes the difference in few rounds?
    for name in ("DeepInversion", "CMI", "FastMeta", "NAYER", "DFQ"):
        relative = {**short.get(name.lower(), {}), "relative": True}
        yield DataSource(f"{name}, relative batch-norm loss", name.lower(), synthesis=relative)
    named = {"CMI": "cmi", "FastMeta": "fastmeta", "NAYER": "nayer", "DAFL": "dafl", "DFAD": "dfad"}
    for name, method in {**named, "ZSKT": "zskt", "DFQ": "dfq"}.items():
        yield DataSource(name, method, synthesis=short.get(method, {}))


def quick() -> Iterator[Experiment]:
    """Yield every method on generated tones; takes minutes and needs no recordings."""
    minimal = {"steps": 5, "iterations": 2, "proxy_start": 1}
    short = {
        method: {name: minimal[name] for name in settings} for method, settings in SHORT.items()
    }
    short["frami"] = {"steps": 5}
    for source in method_sources(short, None):
        yield Experiment("quick", TONES, SMALL, source, 0)


def cpu() -> Iterator[Experiment]:
    """Yield every method with small budgets, and FRAMI at more cost; ten hours on two cores."""
    for task, other_dataset in (
        (replace(FSDD, samples=1024, steps=600), "esc10"),
        (_small(ESC10), "fsdd"),
    ):
        for seed in range(3):
            for source in method_sources(SHORT, other_dataset):
                yield Experiment("cpu", task, SMALL, source, seed)
            yield from _more_expensive(task, seed)
    # Seven teachers of 1,500 steps would cost more than all methods together.
    esc50 = _small(replace(ESC50, teacher_steps=800))
    for task in (_small(URBANSOUND8K), esc50):
        for seed in range(3):
            for source in method_sources(SHORT, "fsdd"):
                if seed == 0 or source.name in (
                    "FRAMI",
                    "CMI",
                    "FastMeta",
                    "NAYER",
                    RECORDINGS.name,
                ):
                    yield Experiment("cpu", task, SMALL, source, seed)
            yield from _more_expensive(task, seed)
    folds = [replace(esc50, fold=fold) for fold in "1234"]
    other_family = [
        replace(FSDD, samples=1024, steps=600, network="tdnn"),
        _small(replace(ESC10, network="tdnn")),
    ]
    for task in [*folds, *other_family]:
        for source in method_sources(SHORT, "esc10" if task.dataset == "fsdd" else "fsdd"):
            if source.method in (None, "noise", "recordings", "frami"):
                yield Experiment("cpu", task, SMALL, source, 0)
    for task in other_family:
        yield from _more_expensive(task, 0)


def _small(task: BenchTask) -> BenchTask:
    return replace(task, samples=512, steps=400)


def _more_expensive(task: BenchTask, seed: int) -> Iterator[Experiment]:
    yield Experiment("cpu", task, SMALL, NO_SIBLINGS, seed)
    yield Experiment("cpu", replace(task, samples=8 * task.samples), SMALL, MORE_CLIPS, seed)


def gpu() -> Iterator[Experiment]:
    """Yield every method with published rounds and full budgets, on all folds of ESC-50."""
    for task in (FSDD, ESC10, URBANSOUND8K, *(replace(ESC50, fold=fold) for fold in "12345")):
        # As published, FastMeta's adversarial loss starts after 20 of 220 epochs, and NAYER's after
        # 200 of 800 rounds, with two rounds an epoch from then on.
        fastmeta = {"proxy_steps": 400, "proxy_start": task.samples // 64 // 11}
        nayer = {"proxy_steps": 200, "proxy_start": task.samples // 64 // 4}
        full = {"cmi": {"steps": 500, "proxy_steps": 400}, "fastmeta": fastmeta, "nayer": nayer}
        for seed in range(3):
            for source in method_sources(full, "esc10" if task.dataset == "fsdd" else "fsdd"):
                yield Experiment("gpu", task, SMALL, source, seed)


SUITES: Mapping[str, Callable[[], Iterator[Experiment]]] = {
    "main": main,
    "ablation": ablation,
    "quick": quick,
    "cpu": cpu,
    "gpu": gpu,
    "foreign": foreign_suite.foreign,
    **recipe_suites.SUITES,
}
