"""The contract of a metric: the measures that it declares, and the predictions that it scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from frami.audio.frontend import FrontEnd
from frami.data.clips import Spectrograms
from frami.data.recordings import Split
from frami.evaluate.fusion import clip_logits


@dataclass(frozen=True)
class Measure:
    """One number that a metric returns.

    Attributes:
        title: What tables and the command line call it.
        lower_is_better: Whether a lower value is better, as for an error rate.
        order: Place among the measures of a task, lowest first. Tables compare rows by the first.
    """

    title: str
    lower_is_better: bool = False
    order: int = 100


@dataclass(frozen=True)
class Predictions:
    """A model's predictions for the test clips of a split.

    Attributes:
        split: Labels, and the names and annotated events of the test clips.
        clips: The test clips as the model takes them: targets and lengths.
        logits: One tensor per clip, ``(K,)``, or for sound events ``(K, 1 + N')``: the logits of
            the clip, then of its frames.
        front_end: The model's front end, which gives the times of frames.
    """

    split: Split
    clips: Spectrograms
    logits: Sequence[Tensor]
    front_end: FrontEnd

    @property
    def clip_logits(self) -> Tensor:
        """The clip logits ``(S, K)``, without frame logits."""
        return clip_logits(self.logits)


class Metric(Protocol):
    """A module of this folder that scores the predictions for a task.

    Attributes:
        TASK: The task whose models it scores, a name of `frami.models.tasks`.
        MEASURES: The numbers that it returns, by name.
        PER_CLASS_TITLES: Titles of figures in ``per_class``, where the name does not read well.
        check_installed: Called before recordings are read. It raises a
            `frami.core.errors.UsageError` if a package that the metric needs is not installed.
    """

    TASK: str
    MEASURES: Mapping[str, Measure]
    PER_CLASS_TITLES: Mapping[str, str] = {}
    check_installed: Callable[[], object] | None = None

    def score(self, predictions: Predictions) -> dict[str, Any]:
        """Return a value for each of ``MEASURES``.

        The optional key ``per_class`` maps a label to figures of that class. Further keys are
        passed on as they are.
        """
