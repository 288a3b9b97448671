"""What the bench measures of recipes: tags, scenes of one second, and events, from recordings and data-free alike.

Tags and events are those of synthetic mixtures of real recordings (`frami soundscapes`).
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

# Of 10 s, with one to nine events each; another fold's would serve to choose weights by.
MIXED = Mixture("esc10", "5", 1000, 200)
# Batches of half as many clips, which are twice as long as those of ESC-50.
# A seed of scenes takes one hour of a core, of tags two, of events five.
TAGS = BenchTask(
    "desed", "validation", 800, 1536, 500, kind="multi-label", mixture=MIXED, batch_size=32
)
EVENTS = BenchTask(
    "desed",
    "validation",
    800,
    1024,
    600,
    kind="sound-events",
    network="crnn",
    mixture=MIXED,
    batch_size=32,
)
SCENES = BenchTask("esc50_second", "5", 1500, 2048, 1200)

# 1/4, 1/40 and 1/171 of the teacher of tags.
SIZES = (
    StudentSpec("resnet, width 20 (1/4)", "resnet", 20),
    StudentSpec("small, width 8 (1/40)", "small", 8),
    StudentSpec("small, width 3 (1/171)", "small", 3),
)
LOW_COMPLEXITY = StudentSpec("small, width 14", "small", 14, budget="dcase2023")
# Three of them together are within the budget.
LOWER_COMPLEXITY = StudentSpec("small, width 9", "small", 9, budget="dcase2023")
COMPACT = StudentSpec("secrnn (0.3)", "secrnn")
TINY = StudentSpec("secrnn, width 7 (1/58 of three teachers)", "secrnn", 7)

# "labels only" is the student without any teacher: what the others gain is told over it.
LABELS = DataSource("labels only", None, "labels")
WITH_LABELS = {"cross_entropy": 1.0}
UPPER_BOUND = DataSource("recordings (upper bound)", None, "frami")
FILTERBANKS = ("gammatone", "constant-q")
WIDE = TeacherSpec(width=24)
# Name, recipe, and over which of them its gain is told.
SCENE_RECIPES = (
    ("labels only", "labels", ""),
    ("labels and the teacher's embedding", "embedding", "labels only"),
)


def tags() -> Iterator[Experiment]:
    """Similarities of clips and of frames for students of three sizes; then the same without recordings."""
    kinds = (
        ("logits", "kd"),
        ("logits, clip similarity (SP)", "sp"),
        ("logits, frame similarity (IUSP)", "iusp"),
    )
    taught = [
        DataSource(f"labels, {name}", None, recipe, distillation=WITH_LABELS, baseline=LABELS.name)
        for name, recipe in kinds
    ]
    data_free = [
        DataSource(f"FRAMI, {name}", "frami", recipe)
        for name, recipe in (("SP", "sp"), ("IUSP", "iusp"))
    ]
    for seed in range(3):
        for student in SIZES:
            for source in (LABELS, *taught):
                yield Experiment("tags", TAGS, student, source, seed)
        for source in (*_data_free(), *data_free):
            yield Experiment("tags", TAGS, SIZES[0], source, seed)


def scenes() -> Iterator[Experiment]:
    """The teacher's embedding for a student under a budget; then without recordings, by other spectrograms, and fused."""
    for seed in range(3):
        yield from _scenes_heard_through("mel", seed)
        for source in (
            *_data_free(),
            DataSource("FRAMI, the teacher's logits and embedding", "frami", "embedding"),
        ):
            yield Experiment("scenes", SCENES, LOW_COMPLEXITY, source, seed)
        for filterbank in FILTERBANKS:
            yield from _scenes_heard_through(filterbank, seed)
        for name, recipe, over in SCENE_RECIPES:
            over = f"{over}, three fused" if over else f"{name}, mel"
            fused = DataSource(
                f"{name}, three fused", None, recipe, fused=FILTERBANKS, baseline=over
            )
            yield Experiment("scenes", SCENES, LOWER_COMPLEXITY, fused, seed)


def _scenes_heard_through(filterbank: str, seed: int) -> Iterator[Experiment]:
    for student in (LOW_COMPLEXITY, LOWER_COMPLEXITY):
        for name, recipe, over in SCENE_RECIPES:
            over = f"{over}, {filterbank}" if over else ""
            source = DataSource(
                f"{name}, {filterbank}",
                None,
                recipe,
                teachers=(TeacherSpec(filterbank),),
                baseline=over,
            )
            yield Experiment("scenes", SCENES, student, source, seed)


def events() -> Iterator[Experiment]:
    """Dual distillation and its parts, several teachers for a tiny student; then the same without recordings."""
    several = (TeacherSpec(), TeacherSpec("gammatone", 100, pooling="linear-softmax"), WIDE)
    dual: tuple[tuple[str, Mapping[str, float], TeacherSpec | None], ...] = (
        ("labels and logits", {"ema_student": 0.0, "hidden": 0.0}, None),
        ("labels and embedding", {"ema_student": 0.0, "logits": 0.0}, WIDE),
        ("dual, no temporal averaging", {"ema_student": 0.0}, WIDE),
        ("dual, no embedding", {"hidden": 0.0}, None),
        ("dual", {}, WIDE),
        ("dual, its own teacher's embedding", {}, None),
    )
    taught = [
        DataSource(
            name, None, "dual", distillation=weights, embedding_teacher=whose, baseline=LABELS.name
        )
        for name, weights, whose in dual
    ]
    one = DataSource(
        "labels and one teacher", None, "kd", distillation=WITH_LABELS, baseline=LABELS.name
    )
    tiny = [
        one,
        replace(
            one,
            name="labels and three teachers",
            recipe="multi-teacher",
            teachers=several,
            distillation={},
        ),
    ]
    data_free = DataSource("FRAMI, dual", "frami", "dual")
    # 600 steps are few: after them, no student has its teacher's PSDS1; without labels, or tiny, one takes longer still.
    twice, four_times, six_times = (
        replace(EVENTS, steps=times * EVENTS.steps) for times in (2, 4, 6)
    )
    alone = replace(LABELS, name="labels only, twice the steps")
    whole = next(source for source in taught if source.name == "dual")
    for seed in range(3):
        for source in (LABELS, *taught):
            yield Experiment("events", EVENTS, COMPACT, source, seed)
        for source in (alone, replace(whole, name="dual, twice the steps", baseline=alone.name)):
            yield Experiment("events", twice, COMPACT, source, seed)
        for source in (*_data_free(), data_free):
            yield Experiment("events", four_times, COMPACT, source, seed)
        for source in (LABELS, *tiny):
            yield Experiment("events", six_times, TINY, source, seed)


def _data_free() -> tuple[DataSource, ...]:
    """The teacher alone says what is right: on recordings, on a store of FRAMI, on noise."""
    return UPPER_BOUND, DataSource("FRAMI", "frami", "frami"), DataSource("noise", "noise", "frami")


SUITES: Mapping[str, Callable[[], Iterator[Experiment]]] = MappingProxyType(
    {"tags": tags, "scenes": scenes, "events": events}
)
