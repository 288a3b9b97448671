"""What kind of answer a classifier gives. Losses and metrics go by it; the loops of inversion and distillation do not.

An answer to a clip is one or more choices, each between alternatives: one choice between K classes; K choices between a
tag and its absence; or those and, for every frame, K more between a sound and its absence. Answers and targets become
probabilities ``(B, J, C)`` of J choices between C alternatives, and every loss is written once for them all.

An *answer* is a tensor of logits: ``(B, K)``, or ``(B, K, 1 + N')`` for the task ``frames``: those of the clip, then those
of its frames. A *target* is class indices ``(B,)``, probabilities ``(B, K)``, or the activity of each class in each frame of
the spectrogram, ``(B, K, N)``; infinity there says that a class sounds in the clip at times that are not known. NaN says of
a class that nothing is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

from frami.core.errors import unknown_name


@dataclass(frozen=True)
class Task:
    """A kind of answer.

    Attributes:
        name: As in bundles and on the command line.
        log_probabilities: An answer to logarithms of the alternatives' probabilities ``(B, J, C)``.
        probabilities: A target and an answer (of whose shape it should be) to those ``(B, J, C)``.
        decide: An answer to the likeliest target: class indices, tags, or activities at the answer's frame rate.
        shares: An answer to what each choice counts, ``(J,)``.
        probable: An answer to the probability of each class, of the same shape.
        logits: Such probabilities back to an answer.
    """

    name: str
    log_probabilities: Callable[[Tensor], Tensor]
    probabilities: Callable[[Tensor, Tensor], Tensor]
    decide: Callable[[Tensor], Tensor]
    choice_weights: Callable[[Tensor], Tensor]
    class_probabilities: Callable[[Tensor], Tensor] = torch.sigmoid
    to_logits: Callable[[Tensor], Tensor] = lambda probabilities: probabilities.logit(
        eps=1e-12 if probabilities.dtype == torch.float64 else 1e-6
    )

    def cross_entropy(self, answer: Tensor, target: Tensor) -> Tensor:
        """Return the cross-entropy of an answer against a target, summed over choices, mean over the batch.

        Choices of frames are averaged over the frames; those of which it is not known what is right (NaN) count 0.
        """
        wanted = self.probabilities(as_class_values(target, answer.shape[1]), answer)
        # A product with NaN has a gradient of NaN, whatever is done with it afterwards.
        terms = -(wanted.nan_to_num(0.0) * self.log_probabilities(answer.float())).sum(dim=2)
        return (terms @ self.choice_weights(answer)).mean()

    def kl_terms(self, teacher: Tensor, student: Tensor) -> Tensor:
        """Return the divergence of a student's answer from a teacher's, of each choice, with its share, ``(B, J)``."""
        theirs = self.log_probabilities(match_frame_rate(teacher.float(), student))
        ours = self.log_probabilities(student.float())
        return (theirs.exp() * (theirs - ours)).sum(dim=2) * self.choice_weights(student)

    def soft_divergence(
        self, teacher_logits: Tensor, student_logits: Tensor, temperature: float
    ) -> Tensor:
        """Return ``T^2 KL(teacher || student)`` at temperature T, summed over choices, mean over B.

        Source: Hinton et al., "Distilling the Knowledge in a Neural Network", 2015,
        arXiv:1503.02531, section 2. Choices of frames are averaged over the frames.
        """
        terms = self.kl_terms(teacher_logits / temperature, student_logits / temperature)
        return temperature**2 * terms.sum(dim=1).mean()

    def agreement_terms(self, teacher: Tensor, student: Tensor) -> Tensor:
        """Return 1 where two answers choose the same, else 0, ``(B, J)``."""
        theirs = self.log_probabilities(match_frame_rate(teacher, student)).argmax(dim=2)
        return (theirs == self.log_probabilities(student).argmax(dim=2)).float()


def as_class_values(target: Tensor, classes: int) -> Tensor:
    """Return class indices ``(B,)`` as ``(B, K)``; a target that has values for each class already is left as it is."""
    return F.one_hot(target, classes).float() if target.dim() == 1 else target.float()


def match_frame_rate(answer: Tensor, other: Tensor) -> Tensor:
    """Return an answer with as many frames as another has."""
    if answer.shape == other.shape:
        return answer
    frames = F.interpolate(
        answer[:, :, 1:], size=other.shape[2] - 1, mode="linear", align_corners=False
    )
    return torch.cat([answer[:, :, :1], frames], dim=2)


def _with_absence(logits: Tensor) -> Tensor:
    return F.logsigmoid(torch.stack([logits.flatten(1), -logits.flatten(1)], dim=2))


def _or_absent(target: Tensor) -> Tensor:
    return torch.stack([target.flatten(1), 1 - target.flatten(1)], dim=2)


def frames_per_output(frames: int, own: int) -> int:
    """Return how many of a spectrogram's frames N each of a network's own frames N' covers; the last may have fewer.

    Where a network rounds down, as most poolings do, what is left at the end is covered by none.
    """
    # Networks halve, as a rule, and 33 frames as 5 are then 8 each, and not 7.
    strides = [2**number for number in range(10)], range(1, frames + 1)
    for some, missing in product(strides, (True, False)):
        for covered in some:
            if (frames + (covered - 1) * missing) // covered == own:
                return covered
    return max(1, frames // own)


def expand_to_frames(active: Tensor, frames: int) -> Tensor:
    """Return activities ``(B, K, N')`` of a network's own frames as those of a spectrogram, ``(B, K, N)``."""
    own = active.shape[2]
    index = torch.arange(frames, device=active.device) // frames_per_output(frames, own)
    return active[:, :, index.clamp_max(own - 1)]


def targets_at_output_rate(answer: Tensor, target: Tensor) -> Tensor:
    """Return activities ``(B, K, N)`` as an answer has them, ``(B, K, 1 + N')``: of the clip, then of each of its frames.

    A class whose times are not known (infinity) sounds somewhere in the clip, and of each of its frames nothing is known.
    """
    own = answer.shape[2] - 1
    covered = frames_per_output(target.shape[2], own)
    frames = F.avg_pool1d(target[:, :, : own * covered], covered, ceil_mode=True)
    clip = target.where(target.isfinite() | target.isnan(), 1.0).amax(dim=2, keepdim=True)
    return torch.cat([clip, frames.where(frames.isfinite(), torch.nan)], dim=2)


def _frame_shares(answer: Tensor) -> Tensor:
    classes, columns = answer.shape[1:]
    shares = torch.full((classes, columns), 1 / max(1, columns - 1), device=answer.device)
    shares[:, 0] = 1
    return shares.flatten()


SINGLE_LABEL = Task(
    "single-label",
    log_probabilities=lambda answer: F.log_softmax(answer, dim=1).unsqueeze(1),
    probabilities=lambda target, answer: target.unsqueeze(1),
    decide=lambda answer: answer.argmax(dim=1),
    choice_weights=lambda answer: torch.ones(1, device=answer.device),
    class_probabilities=lambda answer: answer.softmax(dim=1),
    to_logits=lambda probabilities: probabilities.clamp_min(1e-12).log(),
)
MULTI_LABEL = Task(
    "multi-label",
    log_probabilities=_with_absence,
    probabilities=lambda target, answer: _or_absent(target),
    decide=lambda answer: (answer > 0).float(),
    choice_weights=lambda answer: torch.ones(answer.shape[1], device=answer.device),
)
SOUND_EVENTS = Task(
    "sound-events",
    log_probabilities=_with_absence,
    probabilities=lambda target, answer: _or_absent(targets_at_output_rate(answer, target)),
    decide=lambda answer: (answer[:, :, 1:] > 0).float(),
    choice_weights=_frame_shares,
)
TASKS: Mapping[str, Task] = MappingProxyType(
    {task.name: task for task in (SINGLE_LABEL, MULTI_LABEL, SOUND_EVENTS)}
)


def find_task(name: str) -> Task:
    """Return the task of a name; the nearest is offered where there is none."""
    if name not in TASKS:
        raise unknown_name("task", name, TASKS)
    return TASKS[name]
