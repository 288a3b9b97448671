"""What kind of answer a classifier gives. Losses and metrics go by it; the loops of inversion and distillation do not.

An answer to a clip is one or more choices, each between alternatives: one choice between K classes, or K choices between
a tag and its absence. Logits ``(B, K)`` and targets ``(B, K)`` become probabilities ``(B, J, C)`` of J choices between C
alternatives, and every loss is written once for them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

from frami.errors import unknown


@dataclass(frozen=True)
class Task:
    """A kind of answer.

    Attributes:
        name: As in bundles and on the command line.
        log_probabilities: Logits ``(B, K)`` to logarithms of the alternatives' probabilities ``(B, J, C)``.
        probabilities: Targets ``(B, K)`` to those ``(B, J, C)``.
        decide: Logits ``(B, K)`` to the likeliest answer, as a target: class indices ``(B,)``, or tags ``(B, K)``.
    """

    name: str
    log_probabilities: Callable[[Tensor], Tensor]
    probabilities: Callable[[Tensor], Tensor]
    decide: Callable[[Tensor], Tensor]

    def error(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the cross-entropy of logits against a target, summed over choices, mean over the batch.

        Args:
            logits: ``(B, K)``.
            target: Class indices ``(B,)``, or probabilities ``(B, K)``.
        """
        wanted = self.probabilities(encoded(target, logits.shape[1]))
        return -(wanted * self.log_probabilities(logits.float())).sum(dim=(1, 2)).mean()

    def divergences(self, teacher: Tensor, student: Tensor) -> Tensor:
        """Return the divergence of a student's logits from a teacher's, of each choice ``(B, J)``."""
        ours, theirs = self.log_probabilities(student.float()), self.log_probabilities(teacher.float())
        return (theirs.exp() * (theirs - ours)).sum(dim=2)

    def agree(self, one: Tensor, other: Tensor) -> Tensor:
        """Return 1 where two networks' logits choose the same, else 0, ``(B, J)``."""
        return (self.log_probabilities(one).argmax(dim=2) == self.log_probabilities(other).argmax(dim=2)).float()


def encoded(target: Tensor, classes: int) -> Tensor:
    """Return class indices ``(B,)`` as ``(B, K)``; a target that has a value for each class already is left as it is."""
    return F.one_hot(target, classes).float() if target.dim() == 1 else target.float()


def _with_absence(logits: Tensor) -> Tensor:
    return F.logsigmoid(torch.stack([logits, -logits], dim=2))


SINGLE_LABEL = Task(
    "single-label",
    log_probabilities=lambda logits: F.log_softmax(logits, dim=1).unsqueeze(1),
    probabilities=lambda target: target.unsqueeze(1),
    decide=lambda logits: logits.argmax(dim=1),
)
MULTI_LABEL = Task(
    "multi-label",
    log_probabilities=_with_absence,
    probabilities=lambda target: torch.stack([target, 1 - target], dim=2),
    decide=lambda logits: (logits > 0).float(),
)
TASKS: Mapping[str, Task] = MappingProxyType({task.name: task for task in (SINGLE_LABEL, MULTI_LABEL)})


def find(name: str) -> Task:
    """Return the task of a name; the nearest is offered where there is none."""
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    return TASKS[name]
