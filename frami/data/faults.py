"""Collect the faults of tables and recordings, so that all of them can be told at once."""

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
        self.found: list[str] = []

    def add(self, sentence: str) -> None:
        """Add a fault; the same sentence counts once."""
        if sentence not in self.found:
            self.found.append(sentence)

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
        if len(self.found) == 1:
            raise UsageError(self.found[0])
        if self.found:
            raise FaultsError(tuple(self.found))
