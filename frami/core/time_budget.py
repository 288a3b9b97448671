"""Time budgets: how ``minutes`` are divided between clips and distillation.

The named points are those of the curve in ``docs/how-to/budget.md``. Shares and limits are rules of
thumb; where something was measured, the comment names it.
"""

from __future__ import annotations

import math
from typing import Any

from frami.core.checks import check_number
from frami.core.errors import UsageError

QUICK, BEST = 2.0, 40.0
# Clips take about a quarter of the CPU seconds in the suite release (evaluate/bench.csv).
CLIPS_SHARE = 0.2
# Bounds the size of a store of random sounds or noise, which take about a millisecond per clip.
MOST_CLIPS = 16_384
# Not measured: two sizes of the measurement itself.
FEWEST_STEPS = 50
LEAST_MINUTES, MOST_MINUTES = 0.1, 10_000.0


def check_minutes(minutes: Any) -> float:
    """Return ``minutes`` as a number; raise `UsageError` unless it is one from 0.1 to 10,000."""
    return check_number("minutes", minutes, LEAST_MINUTES, MOST_MINUTES)


def too_short(minutes: float, share: float, work: str, seconds: float) -> UsageError:
    """Return the error for minutes that are too few.

    Args:
        minutes: The minutes given.
        share: Share of them that the work gets.
        work: What does not fit, in words.
        seconds: Seconds that it takes, with the measurement.
    """
    needed = math.ceil(10 * seconds / (60 * share)) / 10
    return UsageError(
        f"`minutes` is {minutes:g}, too few for {work} on this machine. Allow {needed:g} or more."
    )
