"""Nearest neighbors: those of a plain loop, and copies at a distance of zero."""

from __future__ import annotations

import numpy as np
import torch

from frami.auditing.neighbors import nearest


def test_nearest_is_that_of_a_plain_loop() -> None:
    queries, targets = torch.randn(30, 5) + 20, torch.randn(40, 5) + 20
    found = nearest(queries, targets)
    for query, index, distance in zip(queries, found.indices, found.distances, strict=True):
        all_distances = [float((query - target).double().norm()) for target in targets]
        assert index == int(np.argmin(all_distances))
        np.testing.assert_allclose(distance, min(all_distances), rtol=1e-5)


def test_copies_have_no_distance_and_near_copies_a_small_one() -> None:
    targets = 3 * torch.randn(600, 64) + 20
    found = nearest(targets[:300], targets)
    assert found.indices.tolist() == [*range(300)] and found.distances.max() < 1e-5
    moved = targets[:300] + 1e-3 * torch.randn(300, 64)
    expected = (moved - targets[:300]).double().norm(dim=1).numpy()
    np.testing.assert_allclose(nearest(moved, targets).distances, expected, rtol=0.01)
