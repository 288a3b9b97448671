"""The order in which the rows of several stores are joined."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

ROWS_PER_BLOCK = 256


def blocks(counts: Sequence[int], batch: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield blocks of rows: the first row of the block, and the store of each row.

    Rows of a store keep their order. ``batch`` is the number of rows of a round of shards; 0: the
    stores are not shards.
    """
    order = by_round(counts, batch) if batch else interleaved(counts)
    for start in range(0, len(order), ROWS_PER_BLOCK):
        yield start, order[start : start + ROWS_PER_BLOCK]


def interleaved(counts: Sequence[int]) -> NDArray[np.int64]:
    """Return the store of each row, so that each part of the whole holds every store in proportion.

    Row i of n is placed at the fraction (i + 1/2) / n.
    """
    owners = np.repeat(np.arange(len(counts)), counts)
    places = np.concatenate([(np.arange(n) + 0.5) / n for n in counts])
    return owners[np.argsort(places, kind="stable")]


def by_round(counts: Sequence[int], batch: int) -> NDArray[np.int64]:
    """Return the shard of each row, in the order of the rounds of the plan."""
    return np.arange(sum(counts)) // batch % len(counts)
