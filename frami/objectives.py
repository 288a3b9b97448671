"""What a student is asked to match: pure functions of what the teacher and the student say, and the target.

Each takes ``(teacher, student, target)`` and returns a scalar in float32, 0 where the student does as it is asked
(cross-entropy and KL: up to a constant). ``student`` is the *projected* student: its frames have the teacher's
channels. ``target`` is ``(B, K)``, the probability of each class.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from frami.network import Output

TEMPERATURE = 4.0


def cross_entropy(teacher: Output | None, student: Output, target: Tensor) -> Tensor:
    """Return the cross-entropy of the student's logits against the target, mean over the batch."""
    return student.task.error(student.logits, target)


def logits(teacher: Output, student: Output, target: Tensor) -> Tensor:
    """Return `softened` of the two's logits."""
    return softened(teacher.logits, student)


def softened(teacher: Tensor, student: Output) -> Tensor:
    """Return ``T^2 KL(teacher || student)`` of softened logits ``(B, K)``, summed over classes, mean over the batch.

    Source: Hinton et al., "Distilling the Knowledge in a Neural Network", 2015, arXiv:1503.02531, section 2. For tags,
    the divergences of each tag and its absence are summed.
    """
    divergences = student.task.divergences(teacher / TEMPERATURE, student.logits / TEMPERATURE)
    return TEMPERATURE**2 * divergences.sum(dim=1).mean()


def frames(teacher: Output, student: Output, target: Tensor) -> Tensor:
    """Return how far the student's frames are from the teacher's, before statistics pooling.

    Mean squared error over batch, channels and frames, in units of the teacher's mean square, so that one weight
    serves teachers of any scale. Frames of another rate are brought to the teacher's number by linear interpolation.

    Source: after Kang et al., "FRAMI", ICASSP 2023, arXiv:2303.07643, which publishes the idea and not the equation.
    """
    ours, theirs = student.frames.float(), teacher.frames.float()
    if ours.shape[2] != theirs.shape[2]:
        ours = F.interpolate(ours, size=theirs.shape[2], mode="linear", align_corners=False)
    return F.mse_loss(ours, theirs) / _mean_square(theirs)


def stats(teacher: Output, student: Output, target: Tensor) -> Tensor:
    """Return how far the student's pooled statistics are from the teacher's, after statistics pooling.

    Mean squared error over batch and statistics, in units of the teacher's mean square.

    Source: as `frames`.
    """
    return F.mse_loss(student.stats, teacher.stats) / _mean_square(teacher.stats)


def _mean_square(x: Tensor) -> Tensor:
    return x.detach().square().mean().clamp(min=torch.finfo(torch.float32).tiny)
