"""What can go wrong, in one sentence each: what came, what is allowed, the way out.

Both kinds are raised by the library and printed, without a traceback, by the command line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FramiError(Exception):
    """Anything that frami refuses or fails at; ``exit_code`` is what the command line leaves with."""

    exit_code = 1


class UsageError(FramiError, ValueError):
    """The caller asked for something that is not there or not allowed."""

    exit_code = 2


class OperationError(FramiError, RuntimeError):
    """The request was fine, but a file, a disk or a download was not."""


def unknown_name(kind: str, came: str, allowed: Iterable[str]) -> UsageError:
    """Return the error for a name that is not there, with the nearest one that is.

    >>> str(unknown_name("recipe", "frmai", ["frami", "kd"]))
    "There is no recipe 'frmai'. Did you mean 'frami'? Allowed: frami, kd."
    """
    names = [str(name) for name in allowed]
    nearest = difflib.get_close_matches(came, names, n=1)
    guess = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return UsageError(f"There is no {kind} {came!r}.{guess} Allowed: {', '.join(names) or 'none'}.")
