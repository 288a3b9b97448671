"""The optimizer of the training loop, and its learning rate over the steps."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR


def make_optimizer(
    student: nn.Module, learning_rate: float, weight_decay: float
) -> torch.optim.AdamW:
    """Return AdamW with weight decay for matrices and kernels, but not for scales and biases."""
    decayed = [p for p in student.parameters() if p.dim() > 1]
    others = [p for p in student.parameters() if p.dim() <= 1]
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate)


def make_schedule(
    optimizer: torch.optim.Optimizer, learning_rate: float, warmup: float, steps: int
) -> OneCycleLR:
    """Return one cycle of the learning rate: it rises and falls to 0 along cosines.

    Args:
        optimizer: The optimizer. Its present learning rate is replaced.
        learning_rate: The peak.
        warmup: Share of the steps in which the learning rate rises, at least one step.
        steps: Number of steps.
    """
    return OneCycleLR(
        optimizer,
        learning_rate,
        total_steps=steps + 1,
        pct_start=float(max(warmup, 1 / steps)),
        cycle_momentum=False,
    )
