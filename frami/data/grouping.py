"""Divide clips into folds so that clips of one group stay together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np


def connected_groups(keys: Sequence[Sequence[Hashable]]) -> list[int]:
    """Return the group of each clip, ``0, 1, ...``: clips that share a key are of one group.

    Sharing is transitive: two clips without a common key are of one group if a third clip shares a
    key with each.

    >>> connected_groups([["a"], ["b", "x"], ["c", "x"], ["a", "y"]])
    [0, 1, 1, 0]
    """
    parent = list(range(len(keys)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = index = parent[parent[index]]
        return index

    first_with: dict[Hashable, int] = {}
    for index, own in enumerate(keys):
        for key in own:
            roots = sorted((root(index), root(first_with.setdefault(key, index))))
            parent[roots[1]] = roots[0]
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root(index), len(numbers)) for index in range(len(keys))]


def assign_folds(
    groups: Sequence[int], names: Sequence[str], targets: np.ndarray, n_folds: int
) -> list[int]:
    """Return the fold of each clip, ``0`` to ``n_folds - 1``; a group is never divided.

    Groups are assigned one by one, the largest first, to the fold that keeps the classes most
    evenly divided. Neither the names nor the order of the clips count.

    Args:
        groups: Group of each clip, ``0, 1, ...``.
        names: Identifier of the contents of each clip: it decides the order of equal groups.
        targets: 1 where a clip has a class, else 0, ``(S, K)``.
        n_folds: Number of folds.
    """
    counts = np.zeros((max(groups) + 1, targets.shape[1] + 1))
    # Clips without any class are divided evenly, too.
    np.add.at(counts, np.asarray(groups), np.column_stack([targets, np.ones(len(targets))]))
    first_name: dict[int, str] = {}
    for group, name in sorted(zip(groups, names, strict=True), key=lambda pair: pair[1]):
        first_name.setdefault(group, name)
    order = sorted(range(len(counts)), key=lambda group: (-counts[group, -1], first_name[group]))
    totals = np.maximum(counts.sum(axis=0), 1)
    folds = np.zeros((n_folds, counts.shape[1]))
    fold_of = {}
    for group in order:
        crowding = ((2 * folds + counts[group]) * counts[group] / totals).sum(axis=1)
        fold_of[group] = int(crowding.argmin())
        folds[fold_of[group]] += counts[group]
    return [fold_of[group] for group in groups]
