"""Checks of the arguments of public functions."""

from __future__ import annotations

import operator
from typing import Any, SupportsFloat, SupportsIndex

from frami.core.errors import UsageError


def check_integer(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return an argument as an ``int``; it may be any integer type, such as numpy's.

    Args:
        name: Name of the parameter.
        value: The argument.
        low: Smallest value allowed.
        high: Largest value allowed; None: no limit.

    Raises:
        UsageError: The value is not an integer, or out of range.

    >>> check_integer("steps", 5, 1)
    5
    """
    allowed = f"an integer of {low} or more" if high is None else f"an integer from {low} to {high}"
    if not isinstance(value, SupportsIndex):
        raise UsageError(f"`{name}` is {value!r}; it must be {allowed}.")
    number = operator.index(value)
    if number < low or (high is not None and number > high):
        raise UsageError(f"`{name}` is {number}; it must be {allowed}.")
    return number


def check_number(name: str, value: Any, low: float, high: float) -> float:
    """Return an argument as a ``float`` in a range; it may be any number type but ``bool``.

    >>> check_number("threshold", 1, 0, 1)
    1.0
    """
    is_number = isinstance(value, SupportsFloat) and not isinstance(value, bool)
    if not is_number or not low <= float(value) <= high:
        raise UsageError(f"`{name}` is {value!r}; it must be a number from {low:g} to {high:g}.")
    return float(value)


def check_frame_range(frame_range: Any) -> tuple[int, int]:
    """Return the shortest and the longest clip of a model, in frames, as integers."""
    try:
        shortest, longest = map(operator.index, frame_range)
    except (TypeError, ValueError):
        shortest, longest = 0, 0
    if not 1 <= shortest <= longest:
        raise UsageError(
            f"`frame_range` is {frame_range!r}; it must be two integers of 1 or more, the lower "
            f"first."
        )
    return shortest, longest
