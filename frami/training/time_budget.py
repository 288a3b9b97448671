"""Choose the number of steps by the minutes available."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from frami.core import processes, time_budget
from frami.core.errors import UsageError
from frami.core.files import expand
from frami.core.progress import ProgressCallback, begin_stage, format_duration
from frami.core.run_choice import recorded_choice
from frami.core.text import count
from frami.data.clips import Clips
from frami.data.store import Store, store_run_folder
from frami.training import cost
from frami.training.plan import Plan


@dataclass(frozen=True)
class StepBudget:
    """What was chosen for some minutes.

    Attributes:
        minutes: Minutes for clips and distillation together.
        steps: Number of steps.
        seconds_per_step: The measured cost.
    """

    minutes: float
    steps: int
    seconds_per_step: float

    def to_json(self) -> dict[str, Any]:
        """Return the entry of the run's record."""
        return asdict(self)

    def describe(self) -> str:
        """Return the choice in a sentence."""
        duration = format_duration(self.steps * self.seconds_per_step)
        steps = count(self.steps, "step")
        return f"{self.minutes:g} min on this machine: {steps}, in about {duration}."


def seconds_of_clips(samples: Store | str | Path | None, minutes: float) -> float:
    """Return the seconds of ``minutes`` that belong to the clips of a store.

    They are those that its record planned for the same minutes. For another store, they are the
    usual share. Recordings and noise, None, take no time.
    """
    if samples is None:
        return 0.0
    path = samples.path if isinstance(samples, Store) else expand(samples)
    planned = recorded_choice(store_run_folder(path))
    if planned.get("minutes") == minutes:
        return float(planned["seconds"])
    return time_budget.CLIPS_SHARE * 60 * minutes


def recorded_steps(out: Path, minutes: float) -> StepBudget | None:
    """Return the choice that the run in a folder keeps; None if there is no run.

    Raises:
        UsageError: The run was not made for these minutes.
    """
    if not (out / "run.json").is_file():
        return None
    recorded = recorded_choice(out)
    if recorded.get("minutes") != minutes:
        made_for = f"with {recorded['minutes']:g} min" if recorded else "without `minutes`"
        raise UsageError(
            f"{out} holds a run {made_for}, but `minutes` is {minutes:g}. Choose another `out`, or "
            f"repeat the settings of the run in {out}."
        )
    return StepBudget(**recorded)


def choose_steps(
    plan: Plan,
    load: Callable[[ProgressCallback], tuple[Clips, Clips | None]],
    minutes: float,
    spent: float,
    report: ProgressCallback,
) -> StepBudget:
    """Return the number of steps that fit into ``minutes``, by a measurement.

    Args:
        plan: The distillation.
        load: Reads the clips.
        minutes: Minutes for clips and distillation together.
        spent: Seconds of them that belong to the clips.
        report: Progress of the distillation.

    Raises:
        UsageError: The minutes are too few for `core.time_budget.FEWEST_STEPS`.
    """
    clips, _ = load(report)
    start = time.monotonic()
    stage = begin_stage(report, "measuring the cost of a step", sum(cost.LENGTHS))
    seconds = cost.seconds_per_step(plan, clips, stage)
    took = seconds, time.monotonic() - start
    seconds, measuring = processes.from_first(lambda: took)
    steps = int((60 * minutes - spent - measuring) / seconds)
    fewest = time_budget.FEWEST_STEPS
    if steps < fewest:
        share = 1 - spent / (60 * minutes)
        work = f"{count(fewest, 'step')} of distillation"
        raise time_budget.too_short(minutes, share, work, fewest * seconds + measuring)
    return StepBudget(minutes, steps, seconds)
