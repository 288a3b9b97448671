"""The student during training: its projections to the teacher's sizes, and its moving average."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from frami.models.model import Model
from frami.models.network import Classifier, Output
from frami.models.pooling import statistics_pooling
from frami.training.recipes import Recipe

EMA_DECAY = 0.99  # our choice: runs of 2,000 steps are too short for the usual 0.999


class ProjectedStudent(nn.Module):
    """A student with projections of its hidden state and embedding to the teacher's sizes.

    The projection of the hidden state is a 1x1 convolution over time, those of the embedding and of
    the pooled statistics are linear layers. They are trained with the student and dropped
    afterwards.
    """

    def __init__(
        self,
        network: Classifier,
        bands: Sequence[int],
        channels: int | None,
        embedding: int | None = None,
        stats: int | None = None,
    ) -> None:
        """Wrap a network.

        Args:
            network: The student's network.
            bands: Number of bands of each front end that the clips stack. The student takes the
                first; the others are for its teachers.
            channels: Size to project the hidden state to; None leaves it as it is.
            embedding: Size to project the embedding to; None leaves it as it is.
            stats: Size to project the pooled statistics to; None leaves them as they are.
        """
        super().__init__()
        self.network, self.bands = network, list(bands)
        self.projection = nn.Conv1d(network.channels, channels, 1) if channels else None
        self.embedding = nn.Linear(network.embedding, embedding) if embedding else None
        self.stats = nn.Linear(2 * (channels or network.channels), stats) if stats else None

    def forward(self, mel: Tensor) -> Output:
        """Return the projected output for clips ``(B, F, N)``."""
        output = self.network(mel[:, : self.bands[0]])
        if self.projection is not None:
            hidden = self.projection(output.hidden)
            output = replace(output, hidden=hidden, stats=statistics_pooling(hidden))
        if self.stats is not None:
            output = replace(output, stats=self.stats(output.stats))
        if self.embedding is not None:
            output = replace(output, embedding=self.embedding(output.embedding))
        return output


def project_student(
    student: Model, teacher: Model | None, recipe: Recipe, bands: Sequence[int]
) -> ProjectedStudent:
    """Return the student with the projections that the losses of a recipe need."""
    channels = embedding = stats = None
    if teacher is not None and recipe.compares("hidden") and not recipe.reuse_head:
        channels = teacher.network.channels
        if teacher.network.stats_size != 2 * channels:
            stats = teacher.network.stats_size
    if teacher is not None and recipe.compares("embedding"):
        embedding = teacher.network.embedding
    return ProjectedStudent(student.network, bands, channels, embedding, stats)


def make_ema_student(student: nn.Module, decay: float = EMA_DECAY) -> AveragedModel:
    """Return an exponential moving average of the student's weights, in training mode.

    Call ``update_parameters(student)`` after each step. Weights are averaged, buffers are copied.

    Args:
        student: The module to average. The average starts with its present weights.
        decay: Share of the average that each update keeps, in [0, 1).

    Source: after Xiao and Das, "Dual Knowledge Distillation for Efficient Sound Event Detection",
    ICASSP Workshops 2024, arXiv:2402.02781 (temporal-averaging distillation), which publishes the
    idea. Differs: averaged weights receive no gradient, so here the student learns from the teacher
    and, from the first step on and with a constant weight, from its own average.
    """
    update = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    average = AveragedModel(student, multi_avg_fn=update)
    # At a count of 0, the first update would copy the student.
    average.n_averaged += 1
    return average.requires_grad_(False)
