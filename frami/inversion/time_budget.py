"""Choose the number of clips, and whether they have siblings, by the minutes available."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from frami.core import time_budget
from frami.core.progress import ProgressCallback, begin_stage, format_duration
from frami.core.run_choice import recorded_choice
from frami.core.runtime import Runtime
from frami.core.text import count
from frami.data.store import Store, store_run_folder
from frami.inversion import cost
from frami.inversion.mixture import Part
from frami.models.model import Model

SIBLINGS = "siblings"  # the setting of a method that decodes further clips at little cost


@dataclass(frozen=True)
class ClipBudget:
    """What was chosen for some minutes.

    Attributes:
        minutes: Minutes for clips and distillation together.
        samples: Number of clips.
        seconds_per_clip: The measured cost.
        siblings: Siblings of each optimized clip; None if the method has no such setting.
    """

    minutes: float
    samples: int
    seconds_per_clip: float
    siblings: int | None

    def to_json(self) -> dict[str, Any]:
        """Return the entry of the run's record."""
        return asdict(self)

    def describe(self) -> str:
        """Return the choice in a sentence."""
        siblings = ""
        if self.siblings is not None:
            number = count(self.siblings, "sibling") if self.siblings else "no siblings"
            siblings = f" with {number} to each optimized clip"
        duration = format_duration(self.samples * self.seconds_per_clip)
        return (
            f"{self.minutes:g} min on this machine: {count(self.samples, 'clip')}{siblings}, in "
            f"about {duration}. The rest is for distillation."
        )


def choose_clips(
    minutes: float,
    parts: Sequence[Part],
    measure: Callable[[Sequence[Part], int, int], float],
    *,
    batch_size: int,
    fixed: bool,
) -> ClipBudget:
    """Return the number of clips for ``minutes``, and the siblings.

    The clips and the measurement take `core.time_budget.CLIPS_SHARE` of the time; on a busy machine
    with few minutes, the clips still get half of that. Where that is too few clips for siblings,
    all clips are optimized.

    Args:
        minutes: Minutes for clips and distillation together.
        parts: The methods with their settings, the main method first.
        measure: Returns the seconds per clip of some parts, from rounds of some clips, and some
            rounds.
        batch_size: Clips per round.
        fixed: Keep the siblings of the settings.

    Raises:
        UsageError: The minutes are too few for a round.
    """
    start = time.monotonic()
    share = 60 * minutes * time_budget.CLIPS_SHARE
    siblings = getattr(parts[0].settings, SIBLINGS, None)

    def affordable(seconds_per_clip: float) -> int:
        left = max(share - (time.monotonic() - start), share / 2)
        return min(int(left / seconds_per_clip), time_budget.MOST_CLIPS) // batch_size * batch_size

    seconds = measure(parts, batch_size, cost.ROUNDS)
    samples = affordable(seconds)
    if siblings and not fixed and samples < time_budget.FEWEST_WITH_SIBLINGS:
        # As many clips as a round with siblings optimizes. Their shapes are compiled already.
        seconds_alone = measure(with_siblings(parts, 0), max(2, batch_size // (1 + siblings)), 1)
        if affordable(seconds_alone):
            seconds, siblings = seconds_alone, 0
        samples = affordable(seconds)
    if not samples:
        round_seconds = batch_size * seconds
        needed = min(round_seconds + time.monotonic() - start, 2 * round_seconds)
        work = f"a round of {count(batch_size, 'clip')}"
        raise time_budget.too_short(minutes, time_budget.CLIPS_SHARE, work, needed)
    return ClipBudget(minutes, samples, seconds, siblings)


def with_siblings(parts: Sequence[Part], siblings: int) -> list[Part]:
    """Return the parts, the main method with this number of siblings."""
    settings: Any = parts[0].settings
    return [replace(parts[0], settings=replace(settings, siblings=siblings)), *parts[1:]]


def plan_clips(
    minutes: float,
    teacher: Model,
    parts: list[Part],
    options: Mapping[str, Any],
    out: Path,
    runtime: Runtime,
    batch_size: int,
    seed: int,
    report: ProgressCallback,
) -> tuple[ClipBudget, list[Part]]:
    """Return the choice for a store and the parts that it is made with.

    A store that exists keeps its siblings. With the minutes of its record, it also keeps the number
    of clips, whatever a measurement would give now.
    """
    fixed = SIBLINGS in options
    if out.is_file() and not fixed:
        with Store(out) as store:
            siblings = store.settings.get("options", {}).get(SIBLINGS)
        if siblings is not None and hasattr(parts[0].settings, SIBLINGS):
            parts, fixed = with_siblings(parts, siblings), True
    recorded = recorded_choice(store_run_folder(out)) if out.is_file() else {}
    if recorded.get("minutes") == minutes:
        return ClipBudget(**recorded), parts

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

    choice = choose_clips(minutes, parts, measure, batch_size=batch_size, fixed=fixed)
    if choice.siblings is not None:
        parts = with_siblings(parts, choice.siblings)
    return choice, parts
