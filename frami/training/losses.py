"""Losses of a student: pure functions of two outputs and a target.

Each loss takes ``(reference, student, target)`` and returns a float32 scalar; lower is better. The
minimum is 0, except for cross-entropy. ``reference`` is the output of the teacher, or of the
student's own moving average. ``student`` is the output of the projected student
(`frami.training.student`): where a loss compares hidden states or embeddings, the student's have
the teacher's size. ``target`` is ``(B, K)``, the probability of each class, or ``(B, K, N)``, the
probability of each class in each frame (see `frami.models.tasks`).

To add a loss, write its function here and add one entry to `LOSSES`. A recipe can then weight it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from frami.models.network import Output

TEMPERATURE = 4.0


@dataclass(frozen=True)
class Loss:
    """A loss of a student, with the network and the layer that it compares the student to.

    Attributes:
        function: Takes ``(reference, student, target)``, returns the loss.
        reference: The network that gives the reference output: the ``teacher``, the student's
            moving average (``ema_student``), or ``none`` for a loss that needs only the target.
        compares: The layer: the ``logits``; the ``hidden`` states or their statistics, with as many
            channels as the teacher's; the ``embedding``, of the teacher's size; or the
            ``similarity`` of hidden states of any size.
    """

    function: Callable[[Any, Output, Tensor], Tensor]
    reference: Literal["none", "teacher", "ema_student"] = "teacher"
    compares: Literal["logits", "hidden", "embedding", "similarity"] = "logits"

    def __call__(self, reference: Output | None, student: Output, target: Tensor) -> Tensor:
        """Return the loss."""
        return self.function(reference, student, target)


def cross_entropy_loss(reference: Output | None, student: Output, target: Tensor) -> Tensor:
    """Return the cross-entropy of the student's logits against the target, mean over the batch."""
    return student.task.cross_entropy(student.task_logits, target)


def logits_loss(teacher: Output, student: Output, target: Tensor) -> Tensor:
    """Return the divergence of the student's probabilities from the teacher's, both softened.

    It is `frami.models.tasks.Task.soft_divergence` at temperature 4.
    """
    return student.task.soft_divergence(teacher.task_logits, student.task_logits, TEMPERATURE)


def hidden_loss(teacher: Output, student: Output, target: Tensor) -> Tensor:
    """Return the distance between the hidden states of student and teacher before pooling.

    The distance is the mean squared error over batch, channels and frames, divided by the mean
    square of the teacher's hidden state: one weight then serves teachers of any scale. If the frame
    rates differ, the student's frames are interpolated linearly to the teacher's.

    Source: after Kang et al., "FRAMI", ICASSP 2023, arXiv:2303.07643, which publishes the idea but
    not the equation.
    """
    student_hidden, teacher_hidden = student.hidden.float(), teacher.hidden.float()
    n_frames = teacher_hidden.shape[2]
    if student_hidden.shape[2] != n_frames:
        student_hidden = F.interpolate(
            student_hidden, size=n_frames, mode="linear", align_corners=False
        )
    return _relative_mse(student_hidden, teacher_hidden)


def stats_loss(teacher: Output, student: Output, target: Tensor) -> Tensor:
    """Return the distance between the pooled statistics of student and teacher.

    The distance is the mean squared error over batch and statistics, divided by the mean square of
    the teacher's statistics.

    Source: as `hidden_loss`.
    """
    return _relative_mse(student.stats, teacher.stats)


def embedding_loss(teacher: Output, student: Output, target: Tensor) -> Tensor:
    """Return the distance between the embeddings of student and teacher, before the classifier.

    The distance is the mean squared error over batch and embedding, divided by the mean square of
    the teacher's embedding.

    Source: after Pham et al., 2023, arXiv:2305.09463, which publishes the idea. Differs: the form
    of the loss is our choice.
    """
    return _relative_mse(student.embedding.float(), teacher.embedding.float())


def _relative_mse(student: Tensor, teacher: Tensor) -> Tensor:
    mean_square = teacher.detach().square().mean()
    return F.mse_loss(student, teacher) / mean_square.clamp(min=torch.finfo(torch.float32).tiny)


def similarity_loss(teacher: Output, student: Output, target: Tensor) -> Tensor:
    """Return the difference between the clip-by-clip similarities of student and teacher.

        ||G_t - G_s||_F^2 / B^2,    G = rows of A A^T at unit length,    A = hidden as (B, D N')

    The networks may have any width and frame rate, because G is (B, B).

    Source: Tung and Mori, "Similarity-Preserving Knowledge Distillation", ICCV 2019, as in the
    authors' code. Differs: the authors flatten a map of channels, height and width; a hidden state
    here has channels and frames, and its frequency axis is averaged.
    """
    teacher_gram, student_gram = (
        _normalized_gram(output.hidden.float().flatten(1).unsqueeze(0))
        for output in (teacher, student)
    )
    return (teacher_gram - student_gram).square().sum() / len(teacher.hidden) ** 2


def frame_similarity_loss(teacher: Output, student: Output, target: Tensor) -> Tensor:
    """Return the difference between the frame-by-frame similarities of student and teacher.

        sum over clips of ||G_t - G_s||_F^2 / (B N'^2)
        G = rows of A A^T at unit length,    A = the hidden state of a clip as (N', D)

    If the frame rates differ, the finer one is averaged down to the coarser.

    Source: Chang et al., "Intra-Utterance Similarity Preserving Knowledge Distillation for Audio
    Tagging", Interspeech 2020, arXiv:2009.01759: similarity between the frames of one utterance.
    Differs: we do not have the paper's equation; this is `similarity_loss` with frames in place of
    clips.
    """
    n_frames = min(teacher.hidden.shape[2], student.hidden.shape[2])
    teacher_gram, student_gram = (
        _normalized_gram(F.adaptive_avg_pool1d(output.hidden.float(), n_frames).transpose(1, 2))
        for output in (teacher, student)
    )
    squares = (teacher_gram - student_gram).square().sum()
    return squares / (len(teacher.hidden) * n_frames**2)


def _normalized_gram(rows: Tensor) -> Tensor:
    """Return the inner products of rows ``(B, M, X)`` as ``(B, M, M)``, with rows at length 1."""
    return F.normalize(rows @ rows.transpose(1, 2), dim=2)


LOSSES: Mapping[str, Loss] = MappingProxyType(
    {
        "cross_entropy": Loss(cross_entropy_loss, reference="none"),
        "logits": Loss(logits_loss),
        "ema_student": Loss(logits_loss, reference="ema_student"),
        "hidden": Loss(hidden_loss, compares="hidden"),
        "stats": Loss(stats_loss, compares="hidden"),
        "embedding": Loss(embedding_loss, compares="embedding"),
        "similarity": Loss(similarity_loss, compares="similarity"),
        "frame_similarity": Loss(frame_similarity_loss, compares="similarity"),
    }
)
