"""The contrastive head of FRAMI: features of a clip before and after statistics pooling."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frami.inversion import losses
from frami.models.network import Output

PROJECTION_SIZE = 128


class ContrastiveHead(nn.Module):
    """Two projections of a teacher's output to the unit sphere, and queues of past features.

    The first projects the hidden state before statistics pooling, the second the statistics.

    Args:
        channels: Channels of the hidden state, D.
        stats: Size of the statistics.
        size: Number of past clips that the queues hold.
    """

    def __init__(self, channels: int, stats: int, size: int) -> None:
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

    def forward(self, output: Output) -> tuple[Tensor, Tensor]:
        """Return the features before and after pooling, ``(B, PROJECTION_SIZE)`` each."""
        before = self.before(output.hidden.float()).mean(dim=2)
        return F.normalize(before, dim=1), F.normalize(self.after(output.stats), dim=1)

    def loss(self, view: Output, anchor: Output, temperature: float) -> Tensor:
        """Return the InfoNCE loss of the features before pooling plus that of those after it."""
        before, after = self(view)
        anchor_before, anchor_after = self(anchor)
        queue_before = self.queue_before.to(before.device)
        queue_after = self.queue_after.to(after.device)
        return losses.info_nce(
            before, anchor_before, queue_before, temperature=temperature
        ) + losses.info_nce(after, anchor_after, queue_after, temperature=temperature)

    @torch.no_grad()
    def enqueue(self, anchor: Output) -> None:
        """Put the features of a round into the queues; the oldest are dropped."""
        before, after = self(anchor)
        self.queue_before = torch.cat([before, self.queue_before.to(before.device)])[: self.size]
        self.queue_after = torch.cat([after, self.queue_after.to(after.device)])[: self.size]
