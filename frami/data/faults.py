"""Collect the faults of tables and recordings, so that all of them can be reported at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from frami.core.errors import FramiError, UsageError
from frami.core.text import itemize


class FaultsError(UsageError):
    """Data with several faults.

    Attributes:
        faults: One sentence for each.
    """

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__(
            f"There are {len(faults)} faults; 'frami data check' lists all:{itemize(faults)}"
        )
        self.faults = faults


def faults_of(error: FramiError) -> tuple[str, ...]:
    """Return the sentences of an error, one for each fault."""
    return error.faults if isinstance(error, FaultsError) else (str(error),)


class Faults:
    """Sentences on what is wrong with data, collected while it is read."""

    def __init__(self) -> None:
        self._found: dict[str, None] = {}  # in order, each once

    @property
    def found(self) -> tuple[str, ...]:
        """The sentences so far."""
        return tuple(self._found)

    def add(self, sentence: str) -> None:
        """Add a fault; the same sentence counts once."""
        self._found[sentence] = None

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Collect the `UsageError` of a block, and go on after the block."""
        try:
            yield
        except UsageError as error:
            for sentence in faults_of(error):
                self.add(sentence)

    def check(self) -> None:
        """Raise `UsageError` if there are faults."""
        found = self.found
        if len(found) == 1:
            raise UsageError(found[0])
        if found:
            raise FaultsError(found)
