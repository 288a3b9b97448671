"""Heads: poolings of frame probabilities, and statistics pooling."""

from __future__ import annotations

import math

import pytest
import torch

from frami.models.heads import FrameHead
from frami.models.pooling import ATTENTION, POOLINGS, statistics_pooling


def _published_pooling(pooling: str, probabilities: list[float], attention: list[float]) -> float:
    """Return the probability of a clip after Table 1 of Wang et al., in plain loops."""
    weights = {
        "average": [1.0] * len(probabilities),
        "max": [float(p == max(probabilities)) for p in probabilities],
        "linear-softmax": probabilities,
        "exponential-softmax": [math.exp(p) for p in probabilities],
        ATTENTION: [math.exp(a) for a in attention],
    }[pooling]
    return sum(w * p for w, p in zip(weights, probabilities, strict=True)) / sum(weights)


@pytest.mark.parametrize("pooling", [ATTENTION, *POOLINGS])
def test_frame_head_poolings_equal_the_published_ones(pooling: str) -> None:
    head = FrameHead(8, 2, 3, pooling).eval()
    hidden = 3 * torch.randn(2, 4, 5)
    _, clip, frame_logits = head(hidden, torch.zeros(2, 8))
    for n in range(2):
        for k in range(3):
            probabilities = frame_logits[n, k].sigmoid().tolist()
            attention = head.attention(hidden)[n, k].tolist() if head.attention is not None else []
            expected = _published_pooling(pooling, probabilities, attention)
            assert clip[n, k].sigmoid().item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("pooling", [ATTENTION, *POOLINGS])
def test_frame_head_extreme_hidden_states_have_finite_gradients(pooling: str) -> None:
    head = FrameHead(8, 2, 3, pooling).eval()
    # The sigmoids are exactly 0, and exactly 1.
    extreme = torch.stack([torch.full((4, 5), -1e5), torch.full((4, 5), 1e5)]).requires_grad_()
    clip = head(extreme, torch.zeros(2, 8))[1]
    clip.sum().backward()
    assert clip.amin(dim=0).max() < -13 and clip.amax(dim=0).min() > 13
    assert extreme.grad is not None and bool(extreme.grad.isfinite().all())


def test_statistics_pooling_of_bfloat16_is_float32() -> None:
    assert statistics_pooling(torch.randn(2, 3, 4).bfloat16()).dtype == torch.float32
