"""The feature-invariant contrast of FRAMI, before and after statistics pooling.

Two views of a clip should have the same features, and other features than clips of the same class.
One view is the clip itself, rotated in time. The other is a half of it as another microphone and
room would record it: with another level, frequency response and envelope, and with masks.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from frami.audio.transforms import crop
from frami.core.runtime import Runtime
from frami.inversion import losses
from frami.inversion.conditions import ConditionSettings, sample_offset
from frami.inversion.views import gain_and_mask
from frami.models import tasks
from frami.models.model import Model
from frami.models.network import Output

PROJECTION_SIZE = 128
QUEUES = ("queue_before", "queue_after", "queue_classes")


class ContrastiveHead(nn.Module):
    """Two projections of a teacher's output to the unit sphere, and queues of past clips.

    The first projects the hidden state before statistics pooling, the second the statistics.
    Negatives are clips that share a class: the class prior already separates the classes.

    Args:
        channels: Channels of the hidden state, D.
        stats: Size of the statistics.
        classes: Number of classes, K.
        size: Number of past clips that the queues hold.
    """

    def __init__(self, channels: int, stats: int, classes: int, size: int) -> None:
        super().__init__()
        self.before = nn.Sequential(
            nn.Conv1d(channels, PROJECTION_SIZE, 1),
            nn.ReLU(),
            nn.Conv1d(PROJECTION_SIZE, PROJECTION_SIZE, 1),
        )
        self.after = nn.Sequential(
            nn.Linear(stats, PROJECTION_SIZE),
            nn.ReLU(),
            nn.Linear(PROJECTION_SIZE, PROJECTION_SIZE),
        )
        self.size = size
        self.queue_before = torch.zeros(0, PROJECTION_SIZE)
        self.queue_after = torch.zeros(0, PROJECTION_SIZE)
        self.queue_classes = torch.zeros(0, classes)

    def forward(self, output: Output) -> tuple[Tensor, Tensor]:
        """Return the features before and after pooling, ``(B, PROJECTION_SIZE)`` each."""
        before = self.before(output.hidden.float()).mean(dim=2)
        return F.normalize(before, dim=1), F.normalize(self.after(output.stats), dim=1)

    def loss(self, view: Output, anchor: Output, classes: Tensor, temperature: float) -> Tensor:
        """Return the InfoNCE loss of the features before pooling plus that of those after it.

        Args:
            view: The teacher's output for one view of the clips; carries the gradient.
            anchor: Its output for the other view.
            classes: The classes of the clips, ``(B, K)``, above 0 where a clip has a class.
            temperature: Temperature of the loss.
        """
        device = classes.device
        candidates = torch.cat([classes, self.queue_classes.to(device)])
        negatives = classes @ candidates.T > 0
        features = zip(self(view), self(anchor), (self.queue_before, self.queue_after), strict=True)
        return torch.stack(
            [
                losses.info_nce(
                    of_view,
                    of_anchor,
                    queue.to(device),
                    temperature=temperature,
                    negatives=negatives,
                )
                for of_view, of_anchor, queue in features
            ]
        ).sum()

    @torch.no_grad()
    def enqueue(self, anchor: Output, classes: Tensor) -> None:
        """Put the features and classes of a round into the queues; the oldest are dropped."""
        before, after = self(anchor)
        self.queue_before = self._with_latest(before, self.queue_before)
        self.queue_after = self._with_latest(after, self.queue_after)
        self.queue_classes = self._with_latest(classes, self.queue_classes)

    def _with_latest(self, latest: Tensor, queue: Tensor) -> Tensor:
        return torch.cat([latest, queue.to(latest.device)])[: self.size]


class Contrast:
    """The contrastive loss of a teacher's clips: head, optimizer and queues, kept between rounds.

    Attributes:
        head: The projections and queues.

    Args:
        teacher: The teacher.
        conditions: Strengths of the second view's level, frequency response and envelope.
        runtime: Device and precision.
        queue: Number of past clips among the negatives.
        every: Steps for each computation of the loss.
        temperature: Temperature of the loss.
        learning_rate: Learning rate of the projections.
    """

    def __init__(
        self,
        teacher: Model,
        conditions: ConditionSettings,
        runtime: Runtime,
        *,
        queue: int,
        every: int,
        temperature: float,
        learning_rate: float,
    ) -> None:
        self.teacher, self.conditions, self.runtime = teacher, conditions, runtime
        self.every, self.temperature = every, temperature
        network = teacher.network
        self.head = ContrastiveHead(
            network.channels, network.stats_size, len(teacher.labels), queue
        ).to(runtime.device)
        self.optimizer = torch.optim.Adam(self.head.parameters(), lr=learning_rate)
        self.start_round()

    def start_round(self) -> None:
        """Begin to count steps."""
        self.step, self.last = 0, torch.zeros((), device=self.runtime.device)

    def loss(self, mel: Tensor, anchor: Output, target: Tensor, rng: Generator) -> Tensor:
        """Return the loss between a second view of the clips and the teacher's output for a first.

        In the steps between two computations, the last value is returned, without gradient: the
        best step of a round is the one with the lowest sum of all losses.
        """
        if not self._is_computed():
            return self.last
        with self.runtime.autocast():
            output = self.teacher.network(self._second_view(mel, rng))
        loss = self.head.loss(output, anchor, self._classes(target), self.temperature)
        self.last = loss.detach()
        return loss

    def _second_view(self, mel: Tensor, rng: Generator) -> Tensor:
        half, strengths = crop(mel, rng, n_frames=-(-mel.shape[2] // 2)), self.conditions
        batch, bands, n_frames = half.shape
        offset = sample_offset(
            (batch, bands, n_frames),
            rng,
            level=strengths.level,
            filter=strengths.filter,
            envelope=strengths.envelope,
            front_end=self.teacher.front_end,
        )
        return gain_and_mask(half + offset.to(half.device), rng)

    def finish_step(self) -> None:
        """Update the projections after the gradients are computed."""
        if self._is_computed():
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        self.step += 1

    def _is_computed(self) -> bool:
        return self.step % self.every == 0

    def finish_round(self, anchor: Output, target: Tensor) -> None:
        """Put the clips of a round into the queues."""
        self.head.enqueue(anchor, self._classes(target))

    def _classes(self, target: Tensor) -> Tensor:
        """Return the classes ``(B, K)`` of targets, above 0 where a clip has a class."""
        classes = tasks.as_class_values(target, len(self.teacher.labels))
        return classes.amax(dim=2) if classes.dim() > 2 else classes

    def state_dict(self) -> dict[str, Any]:
        """Return everything the next round depends on."""
        return {
            "head": self.head.state_dict(),
            "queues": [getattr(self.head, name) for name in QUEUES],
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.head.load_state_dict(state["head"])
        for name, queue in zip(QUEUES, state["queues"], strict=True):
            setattr(self.head, name, queue)
        self.optimizer.load_state_dict(state["optimizer"])
