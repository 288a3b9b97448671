"""Tags of clips as numbers: in time that grows with the labels that are there, however many."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np


def positions_of(labels: Iterable[str]) -> dict[str, int]:
    """Return the index of each label, which a search in a list of many would take long to find."""
    return {label: index for index, label in enumerate(labels)}


def tag_rows(labels_of: Sequence[Collection[str] | None], labels: Sequence[str]) -> np.ndarray:
    """Return 1 where a clip has a label, else 0, ``(S, K)`` float32.

    Args:
        labels_of: The labels of each clip, or None if they are unknown: its row is NaN.
        labels: The labels of the columns. Others are left out.
    """
    positions = positions_of(labels)
    tags = np.zeros((len(labels_of), len(labels)), dtype=np.float32)
    for row, own in zip(tags, labels_of, strict=True):
        if own is None:
            row[:] = np.nan
        else:
            row[[positions[label] for label in own if label in positions]] = 1
    return tags
