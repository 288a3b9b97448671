"""The suite of classifiers that were built and trained outside of frami."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from frami.bench.experiment import BenchTask, DataSource, Experiment, StudentSpec

# Recipe frami: the student has a classifier of its own, since adopted heads are not copied.
RECIPE = "frami"
RECORDINGS = DataSource("recordings (upper bound)", None, RECIPE)
SOURCES = (
    RECORDINGS,
    DataSource("FRAMI", "frami", RECIPE),
    DataSource("FRAMI, 30 % synthesizer", "frami", RECIPE, mix=(("synthesizer", 0.3),)),
    DataSource("synthesizer", "synthesizer", RECIPE),
    DataSource("noise", "noise", RECIPE),
)
STUDENT = StudentSpec("small, width 14", "small", 14)

# Training steps of each teacher (FSDD, ESC-10): as many as a good teacher needs.
TEACHER_STEPS = {
    "plaincnn": (800, 500),
    "dscnn": (1600, 1000),
    "ecapa": (800, 500),
    "panns": (800, 500),
    "mobilenet": (1600, 1000),
    "transformer": (2400, 1500),
}
FSDD = BenchTask("fsdd", "takes", 0, 1024, 600)
ESC10 = BenchTask("esc10", "5", 0, 512, 400)


def foreign() -> Iterator[Experiment]:
    """Yield every teacher on spoken digits and on ESC-10, with its student's bounds."""
    for task, index in ((FSDD, 0), (ESC10, 1)):
        for seed in range(3):
            for network, steps in TEACHER_STEPS.items():
                of_teacher = replace(task, network=network, teacher_steps=steps[index])
                for source in SOURCES:
                    yield Experiment("foreign", of_teacher, STUDENT, source, seed)
