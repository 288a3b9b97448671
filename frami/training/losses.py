"""What a student is asked to match: pure functions of what the teacher and the student say, and the target.

Each takes ``(teacher, student, target)`` and returns a scalar in float32, 0 where the student does as it is asked
(cross-entropy: up to a constant). ``student`` is the *projected* student: its frames have the teacher's
channels, and its embedding the teacher's size, where an objective compares them. ``target`` is ``(B, K)``, the
probability of each class, or ``(B, K, N)``, that of each class in each frame (see `frami.tasks`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from frami.models.network import Output

TEMPERATURE = 4.0

# A loss takes (teacher, student, target); only cross-entropy goes without a teacher.
Loss = Callable[[Any, Output, Tensor], Tensor]


def cross_entropy_loss(teacher: Output | None, student: Output, target: Tensor) -> Tensor:
    """Return the cross-entropy of the student's answer against the target, mean over the batch."""
    return student.task.cross_entropy(student.task_logits, target)


def logits_loss(teacher: Output, student: Output, target: Tensor) -> Tensor:
    """Return `softened` of the two's answers."""
    return soft_kl(teacher.task_logits, student)


def soft_kl(teacher: Tensor, student: Output) -> Tensor:
    """Return ``T^2 KL(teacher || student)`` of softened answers (see `frami.tasks`), summed, mean over the batch.

    Source: Hinton et al., "Distilling the Knowledge in a Neural Network", 2015, arXiv:1503.02531, section 2. For tags,
    the divergences of each tag and its absence are summed; those of frames are averaged over the frames.
    """
    divergences = student.task.kl_terms(teacher / TEMPERATURE, student.task_logits / TEMPERATURE)
    return TEMPERATURE**2 * divergences.sum(dim=1).mean()


def hidden_loss(teacher: Output, student: Output, target: Tensor) -> Tensor:
    """Return how far the student's frames are from the teacher's, before statistics pooling.

    Mean squared error over batch, channels and frames, in units of the teacher's mean square, so that one weight
    serves teachers of any scale. Frames of another rate are brought to the teacher's number by linear interpolation.

    Source: after Kang et al., "FRAMI", ICASSP 2023, arXiv:2303.07643, which publishes the idea and not the equation.
    """
    ours, theirs = student.hidden.float(), teacher.hidden.float()
    if ours.shape[2] != theirs.shape[2]:
        ours = F.interpolate(ours, size=theirs.shape[2], mode="linear", align_corners=False)
    return F.mse_loss(ours, theirs) / _mean_square(theirs)


def similarity_loss(teacher: Output, student: Output, target: Tensor) -> Tensor:
    """Return how differently the two find the clips of a batch alike, each by its own frames.

        ||G_t - G_s||_F^2 / B^2,    G = rows of A A^T at unit length,    A = frames as (B, D N')

    Networks of any width and frame rate can be compared: G is (B, B).

    Source: Tung and Mori, "Similarity-Preserving Knowledge Distillation", ICCV 2019, as in the authors' code. Differs:
    frames stand where they flatten a map of channels, height and width; frequency is averaged away in them.
    """
    theirs, ours = (
        _normalized_gram(said.hidden.float().flatten(1).unsqueeze(0)) for said in (teacher, student)
    )
    return (theirs - ours).square().sum() / len(teacher.hidden) ** 2


def frame_similarity_loss(teacher: Output, student: Output, target: Tensor) -> Tensor:
    """Return how differently the two find the frames of each clip alike, mean over the batch.

        sum over clips of ||G_t - G_s||_F^2 / (B N'^2),    G = rows of A A^T at unit length,    A = frames as (N', D)

    The finer frame rate is averaged down to the coarser.

    Source: Chang et al., "Intra-Utterance Similarity Preserving Knowledge Distillation for Audio Tagging", Interspeech
    2020, arXiv:2009.01759: similarity between the frames of one utterance. Its equation is not known to us; this is
    `similarity` with frames in place of clips.
    """
    count = min(teacher.hidden.shape[2], student.hidden.shape[2])
    theirs, ours = (
        _normalized_gram(F.adaptive_avg_pool1d(said.hidden.float(), count).transpose(1, 2))
        for said in (teacher, student)
    )
    return (theirs - ours).square().sum() / (len(teacher.hidden) * count**2)


def _normalized_gram(rows: Tensor) -> Tensor:
    """Return the products of rows ``(B, M, X)`` with one another, ``(B, M, M)``, each row of it at unit length."""
    return F.normalize(rows @ rows.transpose(1, 2), dim=2)


def embedding_loss(teacher: Output, student: Output, target: Tensor) -> Tensor:
    """Return how far the student's (projected) embedding is from the teacher's, the layer before the classifier.

    Mean squared error over batch and embedding, in units of the teacher's mean square.

    Source: after Pham et al., 2023, arXiv:2305.09463, which publishes the idea; the form of the loss is our choice.
    """
    return F.mse_loss(student.embedding.float(), teacher.embedding.float()) / _mean_square(
        teacher.embedding.float()
    )


def stats_loss(teacher: Output, student: Output, target: Tensor) -> Tensor:
    """Return how far the student's pooled statistics are from the teacher's, after statistics pooling.

    Mean squared error over batch and statistics, in units of the teacher's mean square.

    Source: as `frames`.
    """
    return F.mse_loss(student.stats, teacher.stats) / _mean_square(teacher.stats)


def _mean_square(x: Tensor) -> Tensor:
    return x.detach().square().mean().clamp(min=torch.finfo(torch.float32).tiny)


LOSSES: Mapping[str, Loss] = MappingProxyType(
    {
        "cross_entropy": cross_entropy_loss,
        "logits": logits_loss,
        "hidden": hidden_loss,
        "stats": stats_loss,
        "embedding": embedding_loss,
        "similarity": similarity_loss,
        "frame_similarity": frame_similarity_loss,
    }
)
