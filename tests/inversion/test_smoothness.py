"""Total variation, against a slow reference written from its formula."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from frami.inversion.smoothness import mean_total_variation, total_variation


def neighbor_gaps(mel: Tensor) -> list[list[float]]:
    """Return the differences between neighbors in each of the four directions."""
    _, bands, frames = mel.shape
    return [
        [
            clip[band][frame] - clip[band + down][frame + right]
            for clip in mel.tolist()
            for band in range(bands - down)
            for frame in range(max(0, -right), frames - max(0, right))
        ]
        for down, right in ((0, 1), (1, 0), (1, 1), (1, -1))
    ]


def test_total_variation_sums_the_norms_of_four_directions() -> None:
    mel = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(0))
    total = sum(math.hypot(*gaps) for gaps in neighbor_gaps(mel))
    assert total_variation(mel).item() == pytest.approx(total, rel=1e-5)


def test_mean_total_variation_sums_the_mean_magnitudes_of_four_directions() -> None:
    mel = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(0))
    total = sum(sum(map(abs, gaps)) / len(gaps) for gaps in neighbor_gaps(mel))
    assert mean_total_variation(mel).item() == pytest.approx(total, rel=1e-5)
    # The expected difference of two values of N(0, 1) is 2 / sqrt(pi), here in four directions.
    noise = torch.randn(64, 64, 160, generator=torch.Generator().manual_seed(0))
    assert mean_total_variation(noise).item() == pytest.approx(8 / math.sqrt(math.pi), rel=0.01)
