"""What the bench measures of data-free methods: which students learn what from whom, at which budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from frami.bench import recipe_suites
from frami.bench.experiment import BenchTask, DataSource, Experiment, StudentSpec

FRAMI = DataSource("FRAMI", "frami")
RECORDINGS = DataSource("recordings (upper bound)", None)
# What else costs less than NAYER and CMI: clips that are each optimised themselves, or eight times as many.
NO_SIBLINGS = replace(FRAMI, name="FRAMI, no siblings", synthesis={"siblings": 0})
MORE_CLIPS = replace(FRAMI, name="FRAMI, 8 times the clips")
LABELS = DataSource("recordings, labels only", None, "labels")
NOISE = DataSource("noise", "noise")

# With the teacher's head and the projection to it, 0.28 M and 0.12 M parameters at 50 classes.
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

# What each part of FRAMI brings: all but the first two take one away, or change it.
ABLATIONS = (
    DataSource("with the contrast", "frami", synthesis={"contrast": 0.2}),
    DataSource("with the adversary", "frami", synthesis={"adversary": 2.0}),
    DataSource("moments of the round alone", "frami", synthesis={"momentum": 0.0}),
    DataSource("no siblings", "frami", synthesis={"siblings": 0}),
    DataSource("half the steps", "frami", synthesis={"steps": 10}),
    DataSource("clips as long as recordings", "frami", synthesis={"max_frames": 1000}),
    DataSource(
        "no recording conditions", "frami", synthesis={"level": 0.0, "filter": 0.0, "envelope": 0.0}
    ),
    DataSource("no grain", "frami", synthesis={"noise_texture": 0.0}),
    DataSource("no frames before pooling", "frami", distillation={"hidden": 0.0}),
    DataSource("no statistics after pooling", "frami", distillation={"stats": 0.0}),
    DataSource("a head of its own", "frami", "frami"),
    DataSource("logits alone, a head of its own", "frami", "kd"),
    DataSource("whole clips are heard", "frami", distillation={"max_frames": 1000}),
)

# As CMI's authors run it, whose moments weigh as much as here; the 0.2 that is published first is beside 0.01.
ADAPTIVE = {"steps": 1000, "adversary": 1.0, "learning_rate": 0.1, "total_variation": 0.001}

# Rounds of the published length would take days on two cores; the table says what was cut.
SHORT: Mapping[str, Mapping[str, Any]] = {
    "deepinversion": {"steps": 50},
    "cmi": {"steps": 50},
    "dafl": {"iterations": 10},
    "dfad": {"iterations": 10},
    "zskt": {"iterations": 10},
    "dfq": {"iterations": 10},
    # By default, runs of so few rounds would end before the adversary counts, or soon after.
    "fastmeta": {"proxy_start": 2},
    "nayer": {"proxy_start": 2},
}


def main() -> Iterator[Experiment]:
    """FRAMI against its bounds with full budgets, both students; what matters most comes first."""
    for source in (FRAMI, RECORDINGS, LABELS, NOISE):
        for task in (FSDD, ESC50, URBANSOUND8K, ESC10):
            # Without a teacher, a student learns for as long as the teacher did.
            length = task.teacher_steps if source is LABELS else task.steps
            for student in (RESNET, SMALL):
                yield Experiment("main", replace(task, steps=length), student, source, 0)


def ablation() -> Iterator[Experiment]:
    """FRAMI taken apart with few clips and steps, on folds that its settings may be chosen on."""
    # The teacher of ESC-50 is the one that the suite cpu has.
    esc50 = replace(ESC50, fold="1", teacher_steps=800, samples=1024, steps=400)
    fsdd = replace(FSDD, fold="lucas", samples=1024, steps=600)
    for seed in range(3):
        for task in (esc50, fsdd):
            yield Experiment("ablation", task, SMALL, FRAMI, seed)
            for source in ABLATIONS:
                yield Experiment(
                    "ablation", task, SMALL, replace(source, baseline=FRAMI.name), seed
                )


def methods(short: Mapping[str, Mapping[str, Any]], elsewhere: str | None) -> Iterator[DataSource]:
    """Yield every row of a comparison: the bounds, the controls, and each method.

    Args:
        short: Settings that make a method's rounds shorter than published.
        elsewhere: Data set of other sounds for the other-domain control; None leaves it out.
    """
    yield from (LABELS, RECORDINGS, NOISE)
    if elsewhere:
        yield DataSource(
            f"other recordings ({elsewhere})", "recordings", synthesis={"dataset": elsewhere}
        )
    yield replace(FRAMI, synthesis=short.get("frami", {}))
    yield DataSource("DeepInversion", "deepinversion", synthesis=short.get("deepinversion", {}))
    yield DataSource(
        "DeepInversion, adaptive",
        "deepinversion",
        synthesis={**ADAPTIVE, **short.get("deepinversion", {})},
    )
    # Their moments as FRAMI compares them: is it that, more than the rest, which brings a method ahead in few rounds?
    for name in ("DeepInversion", "FastMeta"):
        relative = {**short.get(name.lower(), {}), "relative": True}
        yield DataSource(f"{name}, relative moments", name.lower(), synthesis=relative)
    named = {"CMI": "cmi", "FastMeta": "fastmeta", "NAYER": "nayer", "DAFL": "dafl", "DFAD": "dfad"}
    for name, method in {**named, "ZSKT": "zskt", "DFQ": "dfq"}.items():
        yield DataSource(name, method, synthesis=short.get(method, {}))


def quick() -> Iterator[Experiment]:
    """Every method on generated tones, in minutes: what the tests run; it needs no recordings."""
    least = {"steps": 5, "iterations": 2, "proxy_start": 1}
    short = {method: {name: least[name] for name in settings} for method, settings in SHORT.items()}
    short["frami"] = {"steps": 5}
    for source in methods(short, None):
        yield Experiment("quick", TONES, SMALL, source, 0)


def cpu() -> Iterator[Experiment]:
    """Every method with small budgets, and FRAMI at a higher cost; some ten hours of two cores, with the teachers."""
    for task, elsewhere in (
        (replace(FSDD, samples=1024, steps=600), "esc10"),
        (_small(ESC10), "fsdd"),
    ):
        for seed in range(3):
            for source in methods(SHORT, elsewhere):
                yield Experiment("cpu", task, SMALL, source, seed)
            yield from _at_more_cost(task, seed)
    # Seven teachers of 1,500 steps would cost more than all of the methods.
    esc50 = _small(replace(ESC50, teacher_steps=800))
    for task in (_small(URBANSOUND8K), esc50):
        for seed in range(3):
            for source in methods(SHORT, "fsdd"):
                if seed == 0 or source.name in (
                    "FRAMI",
                    "CMI",
                    "FastMeta",
                    "NAYER",
                    RECORDINGS.name,
                ):
                    yield Experiment("cpu", task, SMALL, source, seed)
            yield from _at_more_cost(task, seed)
    folds = [replace(esc50, fold=fold) for fold in "1234"]
    other_family = [
        replace(FSDD, samples=1024, steps=600, network="tdnn"),
        _small(replace(ESC10, network="tdnn")),
    ]
    for task in [*folds, *other_family]:
        for source in methods(SHORT, "esc10" if task.dataset == "fsdd" else "fsdd"):
            if source.method in (None, "noise", "recordings", "frami"):
                yield Experiment("cpu", task, SMALL, source, 0)
    for task in other_family:
        yield from _at_more_cost(task, 0)


def _small(task: BenchTask) -> BenchTask:
    return replace(task, samples=512, steps=400)


def _at_more_cost(task: BenchTask, seed: int) -> Iterator[Experiment]:
    yield Experiment("cpu", task, SMALL, NO_SIBLINGS, seed)
    yield Experiment("cpu", replace(task, samples=8 * task.samples), SMALL, MORE_CLIPS, seed)


def gpu() -> Iterator[Experiment]:
    """Every method with published rounds and full budgets, all folds of ESC-50, three seeds."""
    for task in (FSDD, ESC10, URBANSOUND8K, *(replace(ESC50, fold=fold) for fold in "12345")):
        # FastMeta's adversary begins after 20 of 220 published epochs, NAYER's after 200 of 800 rounds, two to an epoch then.
        meta = {"proxy_steps": 400, "proxy_start": task.samples // 64 // 11}
        noisy = {"proxy_steps": 200, "proxy_start": task.samples // 64 // 4}
        full = {"cmi": {"steps": 500, "proxy_steps": 400}, "fastmeta": meta, "nayer": noisy}
        for seed in range(3):
            for source in methods(full, "esc10" if task.dataset == "fsdd" else "fsdd"):
                yield Experiment("gpu", task, SMALL, source, seed)


SUITES: Mapping[str, Callable[[], Iterator[Experiment]]] = {
    "main": main,
    "ablation": ablation,
    "quick": quick,
    "cpu": cpu,
    "gpu": gpu,
    **recipe_suites.SUITES,
}
