"""What a prediction is: probabilities with labels, and the events of a detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from frami.core.checks import check_integer


class Event(NamedTuple):
    """An event that a detector found.

    Attributes:
        onset: Its begin, s after the begin of the sound.
        offset: Its end, s.
        label: Its class.
    """

    onset: float
    offset: float
    label: str


@dataclass(frozen=True)
class Prediction:
    """The answer of a model for a sound, or for a window of it.

    Attributes:
        labels: Class names, by class index.
        probabilities: Probability of each class, ``(K,)``, in [0, 1]; NaN if ``silent``. They sum
            to 1 for the task single-label.
        onset: Begin of the window, s after the begin of the sound.
        offset: End of the window, s.
        silent: Whether the window has no sound: its peak is below one step of 16 bits. A model
            answers such a window as surely as any other, so its answer is left out.
        events: For a detector, the events whose end this window made known, by onset; else None.
    """

    labels: tuple[str, ...]
    probabilities: NDArray[np.float64]
    onset: float
    offset: float
    silent: bool = False
    events: tuple[Event, ...] | None = None

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """Return the ``k`` most probable classes with their probabilities; none if silent."""
        k = check_integer("k", k, 1)
        return [] if self.silent else self._ranked()[:k]

    def above(self, threshold: float) -> list[tuple[str, float]]:
        """Return the classes of at least this probability, the most probable first."""
        return [] if self.silent else [pair for pair in self._ranked() if pair[1] >= threshold]

    def _ranked(self) -> list[tuple[str, float]]:
        order = np.argsort(-self.probabilities, kind="stable")
        return [(self.labels[index], float(self.probabilities[index])) for index in order]
