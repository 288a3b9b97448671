"""Tasks: how the logits of a classifier and its targets become probabilities.

Losses and metrics depend on the task. The loops of inversion and distillation do not.

A task reads an output as J choices, each between C alternatives:

    single-label   one choice between the K classes                   J = 1, C = K
    multi-label    K choices, each between a tag and its absence      J = K, C = 2
    sound-events   the same K choices for the clip and for each       J = K (1 + N'), C = 2
                   of its N' output frames

Logits and targets become probabilities ``(B, J, C)``, so that each loss is written once for all
tasks.

Logits are ``(B, K)``. For sound-events they are ``(B, K, 1 + N')``: the logits of the clip, then
those of its frames. N' is the number of output frames, which is lower than the number of frames N
of the spectrogram for most networks.

A target has one of three shapes:

    (B,)        class indices
    (B, K)      probabilities of the classes
    (B, K, N)   activity of each class in each frame of the spectrogram, from 0 to 1

NaN marks an unknown value. Infinity in ``(B, K, N)`` marks a class that occurs in the clip at
unknown times.
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

SMALLEST_PROBABILITY = 1e-7  # of a network that returns probabilities


def _sigmoid_inverse(probabilities: Tensor) -> Tensor:
    return probabilities.logit(eps=1e-12 if probabilities.dtype == torch.float64 else 1e-6)


@dataclass(frozen=True)
class Task:
    """Functions that interpret logits ``(B, K)``, or ``(B, K, 1 + N')`` for sound-events.

    Attributes:
        name: Name in bundles and on the command line.
        log_probabilities: Logits to log probabilities of the alternatives ``(B, J, C)``.
        probabilities: Target and logits to the target's probabilities ``(B, J, C)``. The logits
            give the number of output frames.
        decide: Logits to the most probable target: class indices ``(B,)``, tags ``(B, K)``, or
            activities of the output frames ``(B, K, N')``.
        choice_weights: Logits to the weight of each choice in a sum, ``(J,)``.
        class_probabilities: Logits to probabilities of the same shape.
        to_logits: Inverse of ``class_probabilities``.
    """

    name: str
    log_probabilities: Callable[[Tensor], Tensor]
    probabilities: Callable[[Tensor, Tensor], Tensor]
    decide: Callable[[Tensor], Tensor]
    choice_weights: Callable[[Tensor], Tensor]
    class_probabilities: Callable[[Tensor], Tensor] = torch.sigmoid
    to_logits: Callable[[Tensor], Tensor] = _sigmoid_inverse

    def __reduce__(self) -> tuple[Callable[[str], Task], tuple[str]]:
        """Have a task pickled by its name: its functions cannot be."""
        return find_task, (self.name,)

    def cross_entropy(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the cross-entropy of logits and a target, summed over choices, mean over B.

        Choices of frames are averaged over the frames. Unknown choices (NaN) count 0.
        """
        probabilities = self.probabilities(as_class_values(target, logits.shape[1]), logits)
        # A product with NaN has a gradient of NaN, so NaN is replaced before the product.
        products = probabilities.nan_to_num(0.0) * self.log_probabilities(logits.float())
        return (-products.sum(dim=2) @ self.choice_weights(logits)).mean()

    def kl_terms(self, teacher_logits: Tensor, student_logits: Tensor) -> Tensor:
        """Return ``KL(teacher || student)`` of each choice times its weight, ``(B, J)``."""
        teacher_log = self.log_probabilities(
            match_frame_rate(teacher_logits.float(), student_logits)
        )
        student_log = self.log_probabilities(student_logits.float())
        divergences = (teacher_log.exp() * (teacher_log - student_log)).sum(dim=2)
        return divergences * self.choice_weights(student_logits)

    def soft_divergence(
        self, teacher_logits: Tensor, student_logits: Tensor, temperature: float
    ) -> Tensor:
        """Return ``T^2 KL(teacher || student)`` at temperature T, summed over choices, mean over B.

        Source: Hinton et al., "Distilling the Knowledge in a Neural Network", 2015,
        arXiv:1503.02531, section 2. Choices of frames are averaged over the frames.
        """
        terms = self.kl_terms(teacher_logits / temperature, student_logits / temperature)
        return temperature**2 * terms.sum(dim=1).mean()

    def agreement_terms(self, teacher_logits: Tensor, student_logits: Tensor) -> Tensor:
        """Return 1 for each choice where both prefer the same alternative, else 0, ``(B, J)``."""
        teacher_log = self.log_probabilities(match_frame_rate(teacher_logits, student_logits))
        student_log = self.log_probabilities(student_logits)
        return (teacher_log.argmax(dim=2) == student_log.argmax(dim=2)).float()


def as_class_values(target: Tensor, classes: int) -> Tensor:
    """Return class indices ``(B,)`` as one-hot ``(B, K)``, and any other target as float."""
    return F.one_hot(target, classes).float() if target.dim() == 1 else target.float()


def match_frame_rate(logits: Tensor, other: Tensor) -> Tensor:
    """Return logits with the number of output frames of ``other``, by linear interpolation."""
    if logits.shape == other.shape:
        return logits
    frame_logits = F.interpolate(
        logits[:, :, 1:], size=other.shape[2] - 1, mode="linear", align_corners=False
    )
    return torch.cat([logits[:, :, :1], frame_logits], dim=2)


def frames_per_output(n_frames: int, n_outputs: int) -> int:
    """Return how many frames of a spectrogram each output frame covers.

    The last output frame may cover fewer. A network that rounds down, as most poolings do, leaves
    some frames at the end that no output frame covers.

    Args:
        n_frames: Frames N of the spectrogram.
        n_outputs: Output frames N' of the network.
    """
    # Most networks halve the time axis: for 33 frames and 5 outputs, 8 is more likely than 7.
    powers_of_two = [1 << exponent for exponent in range(10)]
    any_number = range(1, n_frames + 1)
    for candidates, rounds_up in product((powers_of_two, any_number), (True, False)):
        for covered in candidates:
            if (n_frames + (covered - 1) * rounds_up) // covered == n_outputs:
                return covered
    return max(1, n_frames // n_outputs)


def expand_to_frames(activities: Tensor, n_frames: int) -> Tensor:
    """Return activities of output frames ``(B, K, N')`` for spectrogram frames, ``(B, K, N)``."""
    n_outputs = activities.shape[2]
    frame = torch.arange(n_frames, device=activities.device)
    index = frame // frames_per_output(n_frames, n_outputs)
    return activities[:, :, index.clamp_max(n_outputs - 1)]


def targets_at_output_rate(logits: Tensor, target: Tensor) -> Tensor:
    """Return activities ``(B, K, N)`` in the shape of the logits, ``(B, K, 1 + N')``.

    The first value of a class is its maximum over the clip, the others are means over the frames
    that an output frame covers. A class at unknown times (infinity) is 1 for the clip and NaN for
    each output frame.
    """
    n_outputs = logits.shape[2] - 1
    covered = frames_per_output(target.shape[2], n_outputs)
    means = F.avg_pool1d(target[:, :, : n_outputs * covered], covered, ceil_mode=True)
    clip = target.where(target.isfinite() | target.isnan(), 1.0).amax(dim=2, keepdim=True)
    return torch.cat([clip, means.where(means.isfinite(), torch.nan)], dim=2)


def _binary_log_probabilities(logits: Tensor) -> Tensor:
    """Return log probabilities of presence and absence, ``(B, J, 2)``."""
    return F.logsigmoid(torch.stack([logits.flatten(1), -logits.flatten(1)], dim=2))


def _binary_probabilities(target: Tensor) -> Tensor:
    """Return probabilities of presence and absence, ``(B, J, 2)``."""
    return torch.stack([target.flatten(1), 1 - target.flatten(1)], dim=2)


def _clip_and_frame_weights(logits: Tensor) -> Tensor:
    """Return 1 for the choices of the clip and ``1 / N'`` for those of the frames, ``(J,)``."""
    if logits.dim() == 2:  # those of the clip alone, as when a student is compared with its teacher
        return torch.ones(logits.shape[1], device=logits.device)
    classes, columns = logits.shape[1:]
    weights = torch.full((classes, columns), 1 / max(1, columns - 1), device=logits.device)
    weights[:, 0] = 1
    return weights.flatten()


SINGLE_LABEL = Task(
    "single-label",
    log_probabilities=lambda logits: F.log_softmax(logits, dim=1).unsqueeze(1),
    probabilities=lambda target, logits: target.unsqueeze(1),
    decide=lambda logits: logits.argmax(dim=1),
    choice_weights=lambda logits: torch.ones(1, device=logits.device),
    class_probabilities=lambda logits: logits.softmax(dim=1),
    to_logits=lambda probabilities: probabilities.clamp_min(1e-12).log(),
)
MULTI_LABEL = Task(
    "multi-label",
    log_probabilities=_binary_log_probabilities,
    probabilities=lambda target, logits: _binary_probabilities(target),
    decide=lambda logits: (logits > 0).float(),
    choice_weights=lambda logits: torch.ones(logits.shape[1], device=logits.device),
)
SOUND_EVENTS = Task(
    "sound-events",
    log_probabilities=_binary_log_probabilities,
    probabilities=lambda target, logits: _binary_probabilities(
        targets_at_output_rate(logits, target)
    ),
    decide=lambda logits: (logits[:, :, 1:] > 0).float(),
    choice_weights=_clip_and_frame_weights,
)
TASKS: Mapping[str, Task] = MappingProxyType(
    {task.name: task for task in (SINGLE_LABEL, MULTI_LABEL, SOUND_EVENTS)}
)


def find_task(name: str) -> Task:
    """Return the task with this name; raise a UsageError that suggests the nearest one."""
    if name not in TASKS:
        raise unknown_name("task", name, TASKS)
    return TASKS[name]


def undo_activation(values: Tensor, activation: str) -> Tensor:
    """Return logits from the output of an activation; probabilities are limited to 1e-7."""
    if activation == "softmax":
        return values.clamp_min(SMALLEST_PROBABILITY).log()
    if activation == "sigmoid":
        return values.logit(eps=SMALLEST_PROBABILITY)
    return values
