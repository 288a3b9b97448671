"""Features of a clip before and after statistics pooling, by which it must be told from other clips, past ones too."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frami.inversion import losses
from frami.models.network import Output

PROJECTION_SIZE = 128


class ContrastiveHead(nn.Module):
    """Features before and after statistics pooling, each projected to the unit sphere, and a queue of past ones."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.before = nn.Sequential(
            nn.Conv1d(channels, PROJECTION_SIZE, 1),
            nn.ReLU(),
            nn.Conv1d(PROJECTION_SIZE, PROJECTION_SIZE, 1),
        )
        self.after = nn.Sequential(
            nn.Linear(2 * channels, PROJECTION_SIZE),
            nn.ReLU(),
            nn.Linear(PROJECTION_SIZE, PROJECTION_SIZE),
        )
        self.size = size
        self.queue_before, self.queue_after = (
            torch.zeros(0, PROJECTION_SIZE),
            torch.zeros(0, PROJECTION_SIZE),
        )

    def forward(self, said: Output) -> tuple[Tensor, Tensor]:
        """Return the two features, ``(B, CODE)`` each."""
        before = self.before(said.hidden.float()).mean(dim=2)
        return F.normalize(before, dim=1), F.normalize(self.after(said.stats), dim=1)

    def loss(self, pulled: Output, anchor: Output, temperature: float) -> Tensor:
        """Return the contrast before pooling plus that after it."""
        before, after = self(pulled)
        anchor_before, anchor_after = self(anchor)
        queue_before, queue_after = (
            self.queue_before.to(before.device),
            self.queue_after.to(after.device),
        )
        return losses.info_nce(
            before, anchor_before, queue_before, temperature=temperature
        ) + losses.info_nce(after, anchor_after, queue_after, temperature=temperature)

    @torch.no_grad()
    def enqueue(self, anchor: Output) -> None:
        """Put a round's features into the queue; the oldest leave."""
        before, after = self(anchor)
        self.queue_before = torch.cat([before, self.queue_before.to(before.device)])[: self.size]
        self.queue_after = torch.cat([after, self.queue_after.to(after.device)])[: self.size]
