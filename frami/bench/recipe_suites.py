"""Suites that compare recipes: tags, scenes of one second, and events; with recordings and without.

Tags and events are those of soundscapes mixed from real recordings (`frami soundscapes`). The rows
that answer each suite's main question come first, for all seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from frami.bench.experiment import (
    BenchTask,
    DataSource,
    Experiment,
    Mixture,
    StudentSpec,
    TeacherSpec,
)

# Soundscapes of 10 s with one to nine events each. Weights are chosen on those of another fold.
MIXED = Mixture("esc10", "5", 1000, 200)
# Synthetic clips have full length. Batches have half as many clips because a clip is twice as long
# as in ESC-50.
# A seed takes one hour of one core for scenes, two for tags, five for events.
TAGS = BenchTask(
    "desed",
    "validation",
    800,
    1536,
    500,
    model_task="multi-label",
    mixture=MIXED,
    batch_size=32,
    max_frames=0,
)
EVENTS = BenchTask(
    "desed",
    "validation",
    800,
    1024,
    600,
    model_task="sound-events",
    network="crnn",
    mixture=MIXED,
    batch_size=32,
    max_frames=0,
)
SCENES = BenchTask("esc50_second", "5", 1500, 2048, 1200)

# 1/4, 1/40 and 1/171 of the size of the teacher of tags.
SIZES = (
    StudentSpec("resnet, width 20 (1/4)", "resnet", 20),
    StudentSpec("small, width 8 (1/40)", "small", 8),
    StudentSpec("small, width 3 (1/171)", "small", 3),
)
LOW_COMPLEXITY = StudentSpec("small, width 14", "small", 14, budget="dcase2023")
# Three of these together are within the budget.
LOWER_COMPLEXITY = StudentSpec("small, width 9", "small", 9, budget="dcase2023")
COMPACT = StudentSpec("secrnn (0.3)", "secrnn")
TINY = StudentSpec("secrnn, width 7 (1/58 of three teachers)", "secrnn", 7)

SEEDS = 3
# The student without a teacher: the baseline of the gains.
LABELS = DataSource("labels only", None, "labels")
WITH_LABELS = {"cross_entropy": 1.0}
# Recipe frami: a student without labels from recordings, from FRAMI's clips, and from controls.
DATA_FREE = (
    DataSource("recordings (upper bound)", None, "frami"),
    DataSource("FRAMI", "frami", "frami"),
    DataSource("synthesizer", "synthesizer", "frami"),
    DataSource("noise", "noise", "frami"),
)
FILTERBANKS = ("gammatone", "constant-q")
WIDE = TeacherSpec(width=24)
# Name, recipe, and the name of the baseline.
SCENE_RECIPES = (
    ("labels only", "labels", ""),
    ("labels and the teacher's embedding", "embedding", "labels only"),
)


def tags() -> Iterator[Experiment]:
    """Yield similarity recipes for students of three sizes, and students without recordings."""
    recipes = (
        ("logits", "kd"),
        ("logits, clip similarity (SP)", "sp"),
        ("logits, frame similarity (IUSP)", "iusp"),
    )
    with_teacher = [
        DataSource(f"labels, {name}", None, recipe, distillation=WITH_LABELS, baseline=LABELS.name)
        for name, recipe in recipes
    ]
    similarity = [
        DataSource(f"FRAMI, {name}", "frami", recipe)
        for name, recipe in (("SP", "sp"), ("IUSP", "iusp"))
    ]
    large, middle, least = SIZES
    main = [(large, source) for source in DATA_FREE]
    main += [(middle, source) for source in (LABELS, *with_teacher)]
    rest = [(size, source) for size in (large, least) for source in (LABELS, *with_teacher)]
    rest += [(large, source) for source in similarity]
    for rows in (main, rest):
        for seed in range(SEEDS):
            for student, source in rows:
                yield Experiment("tags", TAGS, student, source, seed)


def scenes() -> Iterator[Experiment]:
    """Yield the embedding recipe within a budget: from recordings, without them, and fused."""
    embedding = DataSource("FRAMI, the teacher's logits and embedding", "frami", "embedding")
    for seed in range(SEEDS):
        for source in (*DATA_FREE, embedding):
            yield Experiment("scenes", SCENES, LOW_COMPLEXITY, source, seed)
        yield from _scenes_of_filterbank("mel", seed)
    for seed in range(SEEDS):
        for filterbank in FILTERBANKS:
            yield from _scenes_of_filterbank(filterbank, seed)
        for name, recipe, baseline in SCENE_RECIPES:
            baseline = f"{baseline}, three fused" if baseline else f"{name}, mel"
            fused = DataSource(
                f"{name}, three fused",
                None,
                recipe,
                fused_filterbanks=FILTERBANKS,
                baseline=baseline,
            )
            yield Experiment("scenes", SCENES, LOWER_COMPLEXITY, fused, seed)


def _scenes_of_filterbank(filterbank: str, seed: int) -> Iterator[Experiment]:
    for student in (LOW_COMPLEXITY, LOWER_COMPLEXITY):
        for name, recipe, baseline in SCENE_RECIPES:
            baseline = f"{baseline}, {filterbank}" if baseline else ""
            source = DataSource(
                f"{name}, {filterbank}",
                None,
                recipe,
                teachers=(TeacherSpec(filterbank),),
                baseline=baseline,
            )
            yield Experiment("scenes", SCENES, student, source, seed)


def events() -> Iterator[Experiment]:
    """Yield students without recordings, dual distillation and its parts, and several teachers."""
    # After 600 steps, no student reaches its teacher's PSDS1. Tiny students, and students without
    # labels, need even more steps.
    twice, four_times, six_times = (
        replace(EVENTS, steps=times * EVENTS.steps) for times in (2, 4, 6)
    )
    parts = _dual_sources()
    labels_twice = replace(LABELS, name="labels only, twice the steps")
    full_dual = next(source for source in parts if source.name == "dual")
    dual_twice = replace(full_dual, name="dual, twice the steps", baseline=labels_twice.name)
    data_free = [(four_times, COMPACT, source) for source in DATA_FREE]
    dual = [(twice, COMPACT, labels_twice), (twice, COMPACT, dual_twice)]
    several = [(six_times, TINY, source) for source in (LABELS, *_one_and_several_teachers())]
    rest = [(EVENTS, COMPACT, source) for source in (LABELS, *parts)]
    rest.append((four_times, COMPACT, DataSource("FRAMI, dual", "frami", "dual")))
    for rows in (data_free + dual, several, rest):
        for seed in range(SEEDS):
            for task, student, source in rows:
                yield Experiment("events", task, student, source, seed)


def _dual_sources() -> list[DataSource]:
    """Return dual distillation and its parts, all with labels."""
    parts: tuple[tuple[str, Mapping[str, float], TeacherSpec | None], ...] = (
        ("labels and logits", {"ema_student": 0.0, "hidden": 0.0}, None),
        ("labels and embedding", {"ema_student": 0.0, "logits": 0.0}, WIDE),
        ("dual, no temporal averaging", {"ema_student": 0.0}, WIDE),
        ("dual, no embedding", {"hidden": 0.0}, None),
        ("dual", {}, WIDE),
        ("dual, its own teacher's embedding", {}, None),
    )
    return [
        DataSource(
            name,
            None,
            "dual",
            distillation=weights,
            embedding_teacher=teacher,
            baseline=LABELS.name,
        )
        for name, weights, teacher in parts
    ]


def _one_and_several_teachers() -> tuple[DataSource, DataSource]:
    """Return distillation from one teacher, and from three that differ, both with labels."""
    one = DataSource(
        "labels and one teacher", None, "kd", distillation=WITH_LABELS, baseline=LABELS.name
    )
    several = DataSource(
        "labels and three teachers",
        None,
        "multi-teacher",
        teachers=(TeacherSpec(), TeacherSpec("gammatone", 100, pooling="linear-softmax"), WIDE),
        baseline=LABELS.name,
    )
    return one, several


SUITES: Mapping[str, Callable[[], Iterator[Experiment]]] = MappingProxyType(
    {"tags": tags, "scenes": scenes, "events": events}
)
