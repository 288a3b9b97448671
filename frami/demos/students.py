"""What the demos share: the runtime options, and students without data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from frami.adoption import sources
from frami.core.progress import show_progress
from frami.inversion.synthesize import synthesize
from frami.models.model import Model
from frami.training.distill import distill

Say = Callable[[str], object]


class RuntimeOptions(TypedDict):
    """Keyword arguments of every command that computes."""

    seed: int
    device: str
    threads: int | None


@dataclass(frozen=True)
class StudentPlan:
    """How a student is made: its network, the number of clips, and the steps of distillation."""

    network: str
    width: int
    samples: int
    steps: int


def estimate_seconds(teacher: Model, plan: StudentPlan, options: RuntimeOptions) -> float:
    """Return about how long the students of FRAMI and of noise take here, measured in seconds.

    Noise costs next to nothing.
    """
    clip = sources.seconds_per_clip(teacher, sources.find_source("frami"), options)
    step = sources.seconds_per_step(teacher, plan.network, options, plan.width)
    return plan.samples * clip + 2 * plan.steps * step


def make_student(
    teacher: Model, method: str, out: Path, plan: StudentPlan, options: RuntimeOptions
) -> Model:
    """Synthesize clips with a method, and return a student distilled from them."""
    store = out / f"{method}.h5"
    with show_progress(f"clips of {method}", plan.samples) as report:
        synthesize(
            teacher, store, samples=plan.samples, method=method, report=report, **options
        ).close()
    with show_progress(f"student from {method}", plan.steps) as report:
        return distill(
            teacher,
            samples=store,
            student=plan.network,
            width=plan.width,
            out=out / f"student-{method}",
            options={"steps": plan.steps},
            report=report,
            **options,
        )
