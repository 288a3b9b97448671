"""Pooling over time: statistics pooling, and poolings of the frames of a sound event detector."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor

POOLING_EPSILON = 1e-4


def statistics_pooling(hidden: Tensor) -> Tensor:
    """Return mean and standard deviation over time, ``(B, D, N') -> (B, 2D)``, in float32.

    The epsilon is inside the root, where it keeps the gradient of a constant feature finite.

    Source: Snyder et al., "X-vectors: Robust DNN Embeddings for Speaker Recognition", ICASSP 2018.
    """
    hidden = hidden.float()
    deviation = (hidden.var(dim=2, correction=0) + POOLING_EPSILON).sqrt()
    return torch.cat([hidden.mean(dim=2), deviation], dim=1)


def _linear_softmax(p: Tensor) -> Tensor:
    return (p * p).sum(dim=2) / p.sum(dim=2).clamp_min(1e-6)


# Probabilities of the frames ``(B, K, N')`` to those of the clip ``(B, K)``.
# Source: Wang, Li and Metze, "A Comparison of Five Multiple Instance Learning Pooling Functions for
# Sound Event Detection with Weak Labeling", ICASSP 2019, arXiv:1810.09050.
POOLINGS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {
        "average": lambda p: p.mean(dim=2),
        "max": lambda p: p.amax(dim=2),
        "linear-softmax": _linear_softmax,
        "exponential-softmax": lambda p: (p * p.softmax(dim=2)).sum(dim=2),
    }
)
ATTENTION = "attention"  # the fifth pooling of that source; its weights are learned
