"""Time budgets: how ``minutes`` are divided between clips and distillation.

The constants are what was measured; see ``docs/how-to/budget.md`` for the curve.
"""

from __future__ import annotations

import math
from typing import Any

from frami.core.checks import check_number
from frami.core.errors import UsageError

# Named points of the curve in docs/how-to/budget.md.
QUICK, BEST = 2.0, 40.0
# About what the defaults spend on clips: 4,000 clips and 2,000 steps of a student of ESC-50.
CLIPS_SHARE = 0.2
# With fewer clips than this, students learn more without siblings (README.md, the table of results,
# and "Siblings" in evaluate/tried.md).
FEWEST_WITH_SIBLINGS = 1000
# Bounds the size of a store of random sounds or noise, which take about a millisecond per clip.
MOST_CLIPS = 16_384
# Fewer steps hardly move a student from its first weights.
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
