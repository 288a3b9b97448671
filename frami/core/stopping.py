"""Stop long work in time, at a boundary from which it can continue."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from frami.core.checks import check_number
from frami.core.errors import FramiError

LEAST_MINUTES, MOST_MINUTES = 0.001, 100_000.0


class Stopped(FramiError):
    """The work ended because its time was over. Its state is saved; the same call continues it."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: try again


@dataclass(frozen=True)
class Deadline:
    """The time after which work stops at its next boundary.

    Attributes:
        minutes: Minutes from now; None: the work does not stop.
    """

    minutes: float | None = None
    start: float = field(default_factory=time.monotonic)

    @property
    def has_passed(self) -> bool:
        """Whether the time is over."""
        return self.minutes is not None and self.minutes_left == 0

    @property
    def minutes_left(self) -> float | None:
        """The minutes that are left, 0 or more; None without a limit."""
        if self.minutes is None:
            return None
        return max(0.0, self.minutes - (time.monotonic() - self.start) / 60)

    def stop(self, left: str) -> Stopped:
        """Return the error that ends the work.

        Args:
            left: What is left to do, in words.
        """
        return Stopped(
            f"stopped after {self.minutes:g} min, as `stop_after` asks. The state is saved. "
            f"Left: {left}."
        )


NEVER = Deadline()


def make_deadline(minutes: float | None) -> Deadline:
    """Return the deadline of an argument ``stop_after``.

    Raises:
        UsageError: ``minutes`` is not a number from 0.001 to 100,000.
    """
    if minutes is None:
        return NEVER
    return Deadline(check_number("stop_after", minutes, LEAST_MINUTES, MOST_MINUTES))
