"""The suite of classifiers that were built and trained outside of frami."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from frami.bench.experiment import BenchTask, DataSource, Experiment, StudentSpec

# Recipe frami: the student has a classifier of its own, since adopted heads are not copied.
RECIPE = "frami"
RECORDINGS = DataSource("recordings (upper bound)", None, RECIPE)
FRAMI = DataSource("FRAMI", "frami", RECIPE, mix=())
MIXED = DataSource("FRAMI, 30 % synthesizer", "frami", RECIPE, mix=(("synthesizer", 0.3),))
SYNTHESIZER = DataSource("synthesizer", "synthesizer", RECIPE)
NOISE = DataSource("noise", "noise", RECIPE)
SOURCES = (RECORDINGS, FRAMI, MIXED, SYNTHESIZER, NOISE)
# All clips are optimized, as the first thousand of a store are by default.
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "fsdd": {"siblings": 0, "adversary": 2.0},
    "esc10": {"siblings": 0},
}
STUDENT = StudentSpec("small, width 14", "small", 14)

# Training steps of each teacher (FSDD, ESC-10).
TEACHER_STEPS = {
    "plaincnn": (800, 500),
    "dscnn": (1600, 1000),
    "ecapa": (800, 500),
    "panns": (800, 500),
    "mobilenet": (1600, 1000),
    "transformer": (2400, 1500),
}
FSDD = BenchTask("fsdd", "takes", 0, 1024, 1200, max_frames=0)
ESC10 = BenchTask("esc10", "5", 0, 1024, 800, max_frames=0)


def foreign() -> Iterator[Experiment]:
    """Yield every teacher on spoken digits and on ESC-10, with its student's bounds.

    The rows of recordings and FRAMI come first, for all seeds.
    """
    main, others = SOURCES[:2], SOURCES[2:]
    for task, index in ((FSDD, 0), (ESC10, 1)):
        for sources, seed in product((main, others), range(3)):
            for network, steps in TEACHER_STEPS.items():
                of_teacher = replace(task, network=network, teacher_steps=steps[index])
                for source in sources:
                    if source.method == "frami":
                        source = replace(source, synthesis=SETTINGS[task.dataset])
                    yield Experiment("foreign", of_teacher, STUDENT, source, seed)
