"""Error classes. A message names the wrong value, what is allowed, and how to correct it.

The library raises these errors. The command line prints them without a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FramiError(Exception):
    """Base class of all errors that frami raises on purpose.

    Attributes:
        exit_code: Exit status of the command line.
    """

    exit_code = 1


class UsageError(FramiError, ValueError):
    """An argument is wrong: it does not exist, or it is not allowed."""

    exit_code = 2


class OperationError(FramiError, RuntimeError):
    """The arguments are fine, but a file, a disk or a download failed."""


class Stopped(FramiError):
    """The work ended because its time was over. Its state is saved; the same call continues it."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: try again


def unknown_name(kind: str, name: str, allowed: Iterable[str]) -> UsageError:
    """Return the error for an unknown name; it suggests the nearest allowed one.

    >>> str(unknown_name("recipe", "frmai", ["frami", "kd"]))
    "There is no recipe 'frmai'. Did you mean 'frami'? Allowed: frami, kd."
    """
    choices = [str(choice) for choice in allowed]
    nearest = difflib.get_close_matches(name, choices, n=1)
    guess = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return UsageError(
        f"There is no {kind} {name!r}.{guess} Allowed: {', '.join(choices) or 'none'}."
    )
