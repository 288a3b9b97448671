"""A student in training: with the projections that objectives need, and beside it its own average."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from frami.models.network import Classifier, Output
from frami.models.pooling import statistics_pooling

EMA_DECAY = 0.99  # ours; a run of 2,000 steps is too short for the 0.999 of long ones


class ProjectedStudent(nn.Module):
    """A network in training, with projections of its frames and its embedding to the teacher's size where needed.

    They are a 1x1 convolution over time and a linear layer, trained with the network and then dropped.
    """

    def __init__(
        self,
        network: Classifier,
        bands: Sequence[int],
        channels: int | None,
        embedding: int | None = None,
    ) -> None:
        """Take a network, and the sizes to project to where there is something to project.

        ``bands`` are those of each front end that a clip holds, one above the other: the first are the student's, the others
        those of its teachers.
        """
        super().__init__()
        self.network, self.bands = network, list(bands)
        self.projection = nn.Conv1d(network.channels, channels, 1) if channels else None
        self.embedding = nn.Linear(network.embedding, embedding) if embedding else None

    def forward(self, mel: Tensor) -> Output:
        output = self.network(mel[:, : self.bands[0]])
        if self.projection is not None:
            frames = self.projection(output.hidden)
            output = replace(output, hidden=frames, stats=statistics_pooling(frames))
        if self.embedding is not None:
            output = replace(output, embedding=self.embedding(output.embedding))
        return output


class EMAStudent:
    """The moving average of a student's weights, which stands between it and its teacher.

    Source: after Xiao and Das, "Dual Knowledge Distillation for Efficient Sound Event Detection", ICASSP Workshops 2024,
    arXiv:2402.02781 (temporal-averaging distillation), which publishes the idea. Weights that are averaged receive no
    gradient, so ours: the student learns from its teacher, and is asked to say what its own average says, at one weight from
    the first step on.
    """

    def __init__(self, student: nn.Module, momentum: float = EMA_DECAY) -> None:
        """Begin as the student is.

        Args:
            student: Whose average it is.
            momentum: Part that the average keeps in a step, in [0, 1).
        """
        self.network = copy.deepcopy(student).requires_grad_(False)
        self.momentum = momentum

    @torch.no_grad()
    def __call__(self, mel: Tensor) -> Output:
        """Return what the average says of clips ``(B, F, N)``, as in training."""
        return self.network(mel)

    @torch.no_grad()
    def update(self, student: nn.Module) -> None:
        """Take in a step of the student."""
        for mean, now in zip(self.network.parameters(), student.parameters(), strict=True):
            mean.lerp_(now, 1 - self.momentum)
        for average, current in zip(self.network.buffers(), student.buffers(), strict=True):
            average.copy_(current)
