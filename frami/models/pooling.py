"""Pooling over time: statistics pooling, and the poolings of a detector's frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

POOLING_EPSILON = 1e-4


def statistics_pooling(frames: Tensor) -> Tensor:
    """Return mean and standard deviation over time, ``(B, D, N') -> (B, 2D)``, in float32.

    The epsilon stands inside the root: the gradient of a constant feature's deviation would be infinite.

    Source: Snyder et al., "X-vectors: Robust DNN Embeddings for Speaker Recognition", ICASSP 2018.
    """
    frames = frames.float()
    deviation = (frames.var(dim=2, correction=0) + POOLING_EPSILON).sqrt()
    return torch.cat([frames.mean(dim=2), deviation], dim=1)


# What is in a clip, from the probabilities ``(B, K, N')`` of its frames: Wang, Li and Metze, "A Comparison of Five Multiple
# Instance Learning Pooling Functions for Sound Event Detection with Weak Labeling", ICASSP 2019, arXiv:1810.09050.
POOLINGS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "average": lambda probable: probable.mean(dim=2),
    "max": lambda probable: probable.amax(dim=2),
    "linear-softmax": lambda probable: (
        (probable * probable).sum(dim=2) / probable.sum(dim=2).clamp_min(1e-6)
    ),
    "exponential-softmax": lambda probable: (probable * probable.softmax(dim=2)).sum(dim=2),
}


ATTENTION = "attention"  # the fifth of them, which has weights of its own
