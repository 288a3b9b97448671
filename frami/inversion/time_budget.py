"""Choose the number of clips by the minutes available."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from frami.core import time_budget
from frami.core.progress import ProgressCallback, begin_stage, format_duration
from frami.core.run_choice import recorded_choice
from frami.core.runtime import Runtime
from frami.core.text import count
from frami.data.store import store_run_folder
from frami.inversion import cost
from frami.inversion.mixture import Part
from frami.models.model import Model


@dataclass(frozen=True)
class ClipBudget:
    """What was chosen for some minutes.

    Attributes:
        minutes: Minutes for clips and distillation together.
        samples: Number of clips.
        seconds: What they take, by the measured costs.
    """

    minutes: float
    samples: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the entry of the run's record."""
        return asdict(self)

    def describe(self) -> str:
        """Return the choice in a sentence."""
        return (
            f"{self.minutes:g} min on this machine: {count(self.samples, 'clip')}, in about "
            f"{format_duration(self.seconds)}. The rest is for distillation."
        )


def choose_clips(
    minutes: float,
    parts: Sequence[Part],
    measure: Callable[[Sequence[Part], int, int], float],
    *,
    batch_size: int,
) -> ClipBudget:
    """Return the number of clips for ``minutes``.

    The clips and the measurement take `core.time_budget.CLIPS_SHARE` of the time; on a busy machine
    with few minutes, the clips still get half of that.

    Args:
        minutes: Minutes for clips and distillation together.
        parts: The methods with their settings, the main method first.
        measure: Returns the seconds per clip of some parts, from rounds of some clips, and some
            rounds.
        batch_size: Clips per round.

    Raises:
        UsageError: The minutes are too few for a round.
    """
    start = time.monotonic()
    share = 60 * minutes * time_budget.CLIPS_SHARE
    settings: Any = parts[0].settings
    siblings = getattr(settings, "siblings", 0)
    n_first = settings.siblings_start if siblings else 0
    later = measure(_with_siblings(parts, from_the_start=True), batch_size, cost.ROUNDS)
    first = later
    if n_first:
        # As many clips as a round with siblings optimizes. Their shapes are compiled already.
        optimized = max(2, batch_size // (1 + siblings))
        first = measure(_with_siblings(parts, from_the_start=False), optimized, 1)
    used = time.monotonic() - start
    left = max(share - used, share / 2)
    samples = min(left / first, n_first) + max(0, left - n_first * first) / later
    samples = min(int(samples), time_budget.MOST_CLIPS) // batch_size * batch_size
    if not samples:
        needed = min(batch_size * first + used, 2 * batch_size * first)
        work = f"a round of {count(batch_size, 'clip')}"
        raise time_budget.too_short(minutes, time_budget.CLIPS_SHARE, work, needed)
    seconds = min(samples, n_first) * first + max(0, samples - n_first) * later
    return ClipBudget(minutes, samples, seconds)


def _with_siblings(parts: Sequence[Part], *, from_the_start: bool) -> list[Part]:
    """Return the parts; the first round of the main method has siblings, or has none."""
    settings: Any = parts[0].settings
    if hasattr(settings, "siblings"):
        change = {"siblings_start": 0} if from_the_start else {"siblings": 0}
        settings = replace(settings, **change)
    return [replace(parts[0], settings=settings), *parts[1:]]


def plan_clips(
    minutes: float,
    teacher: Model,
    parts: Sequence[Part],
    out: Path,
    runtime: Runtime,
    batch_size: int,
    seed: int,
    report: ProgressCallback,
) -> ClipBudget:
    """Return the choice for a store.

    A store that exists keeps the number of clips for the minutes of its record, whatever a
    measurement would give now.
    """
    recorded = recorded_choice(store_run_folder(out)) if out.is_file() else {}
    if recorded.get("minutes") == minutes:
        return ClipBudget(**recorded)

    def measure(some: Sequence[Part], batch: int, rounds: int) -> float:
        stage = begin_stage(report, "measuring the cost of a clip", rounds * len(some))
        return cost.seconds_per_clip(
            teacher,
            some,
            runtime,
            batch_size=batch,
            n_frames=sum(teacher.frame_range) // 2,  # the mean length of a store's clips
            seed=seed,
            rounds=rounds,
            report=stage,
        )

    return choose_clips(minutes, parts, measure, batch_size=batch_size)
