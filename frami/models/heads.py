"""Heads: the layers of a network after its encoder.

Shapes: B batch, N' output frames, D channels, E embedding, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from frami.models.pooling import ATTENTION, POOLINGS


class Head(nn.Module):
    """Statistics ``(B, 2D)`` to embedding ``(B, E)`` and logits ``(B, K)``."""

    def __init__(self, stats: int, embedding: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(stats, embedding)
        self.norm = nn.BatchNorm1d(embedding)
        self.classifier = nn.Linear(embedding, classes)

    def forward(self, hidden: Tensor, stats: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return embedding ``(B, E)``, logits ``(B, K)``, and None in place of frame logits."""
        embedding = torch.relu(self.norm(self.embedding(stats)))
        return embedding, self.classifier(embedding), None


class FrameHead(nn.Module):
    """Hidden state ``(B, D, N')`` to frame logits ``(B, K, N')``, pooled to clip logits ``(B, K)``.

    The default pooling is attention: each frame has a learned weight per class. Clip probabilities
    are limited to 1e-6 and 1 - 1e-6, which is a logit of about -13.8 and 13.8.

    The embedding does not contribute to the logits and is not trained. Its batch norm stores the
    statistics of the pooled hidden state, which the inversion of a detector uses.

    Source: the head of the baseline of DCASE 2023 task 4. Differs: attention is a softmax over time
    only.
    """

    def __init__(self, stats: int, embedding: int, classes: int, pooling: str = ATTENTION) -> None:
        super().__init__()
        self.embedding = nn.Linear(stats, embedding)
        self.norm = nn.BatchNorm1d(embedding)
        self.frame_classifier = nn.Conv1d(stats // 2, classes, 1)
        self.attention = nn.Conv1d(stats // 2, classes, 1) if pooling == ATTENTION else None
        self.pooling = pooling

    def forward(self, hidden: Tensor, stats: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return embedding ``(B, E)``, clip logits ``(B, K)`` and frame logits ``(B, K, N')``."""
        embedding = torch.relu(self.norm(self.embedding(stats)))
        frame_logits = self.frame_classifier(hidden).float()
        probabilities = frame_logits.sigmoid()
        if self.attention is not None:
            weights = self.attention(hidden).float().softmax(dim=2)
            clip = (weights * probabilities).sum(dim=2)
        else:
            clip = POOLINGS[self.pooling](probabilities)
        return embedding, clip.clamp(1e-6, 1 - 1e-6).logit(), frame_logits
