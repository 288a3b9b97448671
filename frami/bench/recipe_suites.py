"""What the bench measures of recipes: tags, scenes of one second, and events, from recordings and data-free alike.

Tags and events are those of synthetic mixtures of real recordings (`frami soundscapes`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from frami.bench.experiment import Guide, Mixture, Piece, Source, Student, Task

# Of 10 s, with one to nine events each; another fold's would serve to choose weights by.
MIXED = Mixture("esc10", "5", 1000, 200)
# Batches of half as many clips, which are twice as long as those of ESC-50.
# A seed of scenes takes one hour of a core, of tags two, of events five.
TAGS = Task("desed", "validation", 800, 1536, 500, kind="multi-label", mixture=MIXED, batch_size=32)
EVENTS = Task("desed", "validation", 800, 1024, 600, kind="frames", network="crnn", mixture=MIXED, batch_size=32)
SCENES = Task("esc50_second", "5", 1500, 2048, 1200)

# 1/4, 1/40 and 1/171 of the teacher of tags.
SIZES = (
    Student("resnet, width 20 (1/4)", "resnet", 20),
    Student("small, width 8 (1/40)", "small", 8),
    Student("small, width 3 (1/171)", "small", 3),
)
LOW_COMPLEXITY = Student("small, width 14", "small", 14, budget="dcase2023")
# Three of them together are within the budget.
LOWER_COMPLEXITY = Student("small, width 9", "small", 9, budget="dcase2023")
COMPACT = Student("secrnn (0.3)", "secrnn")
TINY = Student("secrnn, width 7 (1/58 of three teachers)", "secrnn", 7)

# "labels only" is the student without any teacher: what the others gain is told over it.
LABELS = Source("labels only", None, "labels")
WITH_LABELS = {"cross_entropy": 1.0}
UPPER_BOUND = Source("recordings (upper bound)", None, "frami")
FILTERBANKS = ("gammatone", "constant-q")
WIDE = Guide(width=24)
# Name, recipe, and over which of them its gain is told.
SCENE_RECIPES = (
    ("labels only", "labels", ""),
    ("labels and the teacher's embedding", "embedding", "labels only"),
)


def tags() -> Iterator[Piece]:
    """Similarities of clips and of frames for students of three sizes; then the same without recordings."""
    kinds = (("logits", "kd"), ("logits, clip similarity (SP)", "sp"), ("logits, frame similarity (IUSP)", "iusp"))
    taught = [
        Source(f"labels, {name}", None, recipe, distillation=WITH_LABELS, over=LABELS.name) for name, recipe in kinds
    ]
    data_free = [Source(f"FRAMI, {name}", "frami", recipe) for name, recipe in (("SP", "sp"), ("IUSP", "iusp"))]
    for seed in range(3):
        for student in SIZES:
            for source in (LABELS, *taught):
                yield Piece("tags", TAGS, student, source, seed)
        for source in (*_data_free(), *data_free):
            yield Piece("tags", TAGS, SIZES[0], source, seed)


def scenes() -> Iterator[Piece]:
    """The teacher's embedding for a student under a budget; then without recordings, by other spectrograms, and fused."""
    for seed in range(3):
        yield from _scenes_heard_through("mel", seed)
        for source in (*_data_free(), Source("FRAMI, the teacher's logits and embedding", "frami", "embedding")):
            yield Piece("scenes", SCENES, LOW_COMPLEXITY, source, seed)
        for filterbank in FILTERBANKS:
            yield from _scenes_heard_through(filterbank, seed)
        for name, recipe, over in SCENE_RECIPES:
            over = f"{over}, three fused" if over else f"{name}, mel"
            fused = Source(f"{name}, three fused", None, recipe, fused=FILTERBANKS, over=over)
            yield Piece("scenes", SCENES, LOWER_COMPLEXITY, fused, seed)


def _scenes_heard_through(filterbank: str, seed: int) -> Iterator[Piece]:
    for student in (LOW_COMPLEXITY, LOWER_COMPLEXITY):
        for name, recipe, over in SCENE_RECIPES:
            over = f"{over}, {filterbank}" if over else ""
            source = Source(f"{name}, {filterbank}", None, recipe, guides=(Guide(filterbank),), over=over)
            yield Piece("scenes", SCENES, student, source, seed)


def events() -> Iterator[Piece]:
    """Dual distillation and its parts, several teachers for a tiny student; then the same without recordings."""
    several = (Guide(), Guide("gammatone", 100, pooling="linear-softmax"), WIDE)
    dual: tuple[tuple[str, Mapping[str, float], Guide | None], ...] = (
        ("labels and logits", {"mean_student": 0.0, "frames": 0.0}, None),
        ("labels and embedding", {"mean_student": 0.0, "logits": 0.0}, WIDE),
        ("dual, no temporal averaging", {"mean_student": 0.0}, WIDE),
        ("dual, no embedding", {"frames": 0.0}, None),
        ("dual", {}, WIDE),
        ("dual, its own teacher's embedding", {}, None),
    )
    taught = [
        Source(name, None, "dual", distillation=weights, embedding=whose, over=LABELS.name)
        for name, weights, whose in dual
    ]
    one = Source("labels and one teacher", None, "kd", distillation=WITH_LABELS, over=LABELS.name)
    tiny = [
        one,
        replace(one, name="labels and three teachers", recipe="multi-teacher", guides=several, distillation={}),
    ]
    data_free = Source("FRAMI, dual", "frami", "dual")
    # 600 steps are few: after them, no student has its teacher's PSDS1; without labels, or tiny, one takes longer still.
    twice, four_times, six_times = (replace(EVENTS, steps=times * EVENTS.steps) for times in (2, 4, 6))
    alone = replace(LABELS, name="labels only, twice the steps")
    whole = next(source for source in taught if source.name == "dual")
    for seed in range(3):
        for source in (LABELS, *taught):
            yield Piece("events", EVENTS, COMPACT, source, seed)
        for source in (alone, replace(whole, name="dual, twice the steps", over=alone.name)):
            yield Piece("events", twice, COMPACT, source, seed)
        for source in (*_data_free(), data_free):
            yield Piece("events", four_times, COMPACT, source, seed)
        for source in (LABELS, *tiny):
            yield Piece("events", six_times, TINY, source, seed)


def _data_free() -> tuple[Source, ...]:
    """The teacher alone says what is right: on recordings, on a store of FRAMI, on noise."""
    return UPPER_BOUND, Source("FRAMI", "frami", "frami"), Source("noise", "noise", "frami")


SUITES: Mapping[str, Callable[[], Iterator[Piece]]] = MappingProxyType(
    {"tags": tags, "scenes": scenes, "events": events}
)
