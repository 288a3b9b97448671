"""What the bench measures of recipes: tags, scenes of one second, and events, from recordings and data-free alike.

Tags and events are those of synthetic mixtures of real recordings (`frami soundscapes`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from frami.evaluate.piece import Guide, Mixture, Piece, Source, Student, Task

SECONDS = (("seconds", 5.0), ("most_events", 5), ("longest", 3.0))
MIXED = Mixture("esc10", "5", 1000, 250, SECONDS)
TAGS = Task("desed", "validation", 1000, 3072, 1500, kind="multi-label", mixture=MIXED)
EVENTS = Task("desed", "validation", 1200, 2048, 1500, kind="frames", network="crnn", mixture=MIXED)
SCENES = Task("esc50_second", "5", 1500, 4096, 2500)

# About 1/4, 1/40 and 1/150 of the teacher of tags.
SIZES = (
    Student("resnet, width 20 (1/4)", "resnet", 20),
    Student("small, width 8 (1/40)", "small", 8),
    Student("small, width 3 (1/150)", "small", 3),
)
LOW_COMPLEXITY = Student("small, width 14", "small", 14, budget="dcase2023")
# Three of them together are within the budget.
LOWER_COMPLEXITY = Student("small, width 9", "small", 9, budget="dcase2023")
COMPACT = Student("secrnn (1/4)", "secrnn")
TINY = Student("secrnn, width 6 (1/60 of three teachers)", "secrnn", 6)

# "labels" is a target of its own here: all that is distilled from recordings knows the labels, too.
LABELS = Source("labels only", None, "labels")
WITH_LABELS = {"cross_entropy": 1.0}
FILTERBANKS = ("gammatone", "constant-q")


def tags() -> Iterator[Piece]:
    """Similarities of clips and of frames for students of three sizes; then the same without recordings."""
    sources = (
        LABELS,
        Source("labels and logits", None, "kd", distillation=WITH_LABELS),
        Source("labels, logits, clip similarity (SP)", None, "sp", distillation=WITH_LABELS),
        Source("labels, logits, frame similarity (IUSP)", None, "iusp", distillation=WITH_LABELS),
    )
    for seed in range(3):
        for student in SIZES:
            for source in sources:
                yield Piece("tags", TAGS, student, source, seed)
        yield from _data_free("tags", TAGS, SIZES[0], seed)


def scenes() -> Iterator[Piece]:
    """The teacher's embedding for a student under a budget, with three spectrograms and all of them fused."""
    for seed in range(3):
        for name, recipe in (("labels only", "labels"), ("labels and the teacher's embedding", "embedding")):
            for filterbank in ("mel", *FILTERBANKS):
                guides = (Guide(filterbank),)
                yield Piece(
                    "scenes", SCENES, LOW_COMPLEXITY, Source(f"{name}, {filterbank}", None, recipe, guides=guides), seed
                )
            fused = Source(f"{name}, three fused", None, recipe, fused=FILTERBANKS)
            yield Piece("scenes", SCENES, LOWER_COMPLEXITY, fused, seed)
        yield from _data_free("scenes", SCENES, LOW_COMPLEXITY, seed)


def events() -> Iterator[Piece]:
    """Dual distillation in parts, several teachers for a tiny student, and both without recordings."""
    several = (Guide(), Guide("gammatone", 100), Guide(seed=200))
    for seed in range(3):
        for source in (
            LABELS,
            Source("labels and logits", None, "dual", distillation={"mean_student": 0.0, "frames": 0.0}),
            Source("dual, no mean student", None, "dual", distillation={"mean_student": 0.0}),
            Source("dual, no frames", None, "dual", distillation={"frames": 0.0}),
            Source("dual", None, "dual"),
        ):
            yield Piece("events", EVENTS, COMPACT, source, seed)
        for source in (
            LABELS,
            Source("labels and one teacher", None, "kd", distillation=WITH_LABELS),
            Source("labels and three teachers", None, "kd", distillation=WITH_LABELS, guides=several),
        ):
            yield Piece("events", EVENTS, TINY, source, seed)
        yield from _data_free("events", EVENTS, COMPACT, seed)


def _data_free(suite: str, task: Task, student: Student, seed: int) -> Iterator[Piece]:
    """The teacher alone says what is right: on recordings (the upper bound), on a store of FRAMI, on noise."""
    for source in (
        Source("recordings (upper bound)", None, "frami"),
        Source("FRAMI", "frami", "frami"),
        Source("noise", "noise", "frami"),
    ):
        yield Piece(suite, task, student, source, seed)


SUITES: Mapping[str, Callable[[], Iterator[Piece]]] = MappingProxyType(
    {"tags": tags, "scenes": scenes, "events": events}
)
