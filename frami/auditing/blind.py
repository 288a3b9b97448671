"""A blind test: can members and others be told apart without any model?

If they can, they differ in more than membership, and an attack on a model may find that difference
in place of leakage. Source: Das, Zhang and Tramèr, "Blind Baselines Beat Membership Inference
Attacks for Foundation Models", 2024.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import rankdata

from frami.auditing.attacks import Flags, Floats
from frami.auditing.pool import Pool
from frami.auditing.resampling import p_value

FOLDS = 5
PERMUTATIONS = 999
MOST_CLIPS = 3000
PENALTY = 1.0


@dataclass(frozen=True)
class BlindTest:
    """The result of a blind test.

    Attributes:
        area: Area under the curve of the better of two classifiers, out of fold.
        p_value: Share of permutations of the groups with at least this area.
        clips: Number of clips that it used.
    """

    area: float
    p_value: float
    clips: int


def summary_features(pool: Pool) -> Floats:
    """Return features of each clip that need no model, ``(S, 4F + 1 + K)``.

    They are mean, deviation, 10th and 90th percentile of each band, the logarithm of the length,
    and the label.
    """
    rows = []
    for index in range(len(pool)):
        mel = pool.clips.mel(index)
        percentiles = torch.quantile(mel, torch.tensor([0.1, 0.9]), dim=1)
        deviation = mel.std(dim=1, correction=0)
        seconds = torch.tensor([float(np.log(mel.shape[1]))])
        rows.append(torch.cat([mel.mean(dim=1), deviation, percentiles.flatten(), seconds]))
    targets = pool.clips.targets
    labels = targets if targets.ndim > 1 else np.eye(int(targets.max()) + 1)[targets]
    return np.column_stack([torch.stack(rows).double().numpy(), labels]).astype(np.float64)


def blind_test(pool: Pool, rng: Generator, permutations: int = PERMUTATIONS) -> BlindTest:
    """Return whether two classifiers tell members from others by their features.

    The classifiers are ridge regressions of the membership, one linear and one with a Gaussian
    kernel. Each clip is predicted by a regression on the other folds; a group is in one fold. Of a
    large pool, a random part of its groups is used.
    """
    kept = _choose(pool.groups, rng)
    features = standardize(summary_features(pool)[kept])
    return blind_test_of(features, pool.is_member[kept], pool.groups[kept], rng, permutations)


def blind_test_of(
    features: Floats,
    is_member: Flags,
    groups: NDArray[np.int64],
    rng: Generator,
    permutations: int = PERMUTATIONS,
) -> BlindTest:
    """Return the blind test of standardized features ``(S, D)``."""
    _, first, index = np.unique(groups, return_index=True, return_inverse=True)
    sides = np.tile(is_member[first], (permutations + 1, 1))
    sides[1:] = rng.permuted(sides[1:], axis=1)
    members = sides[:, index].T.astype(np.float64)  # (S, 1 + permutations)
    folds = rng.permutation(np.arange(len(first)) % FOLDS)[index]
    areas = np.max(
        [_areas(_out_of_fold(k, members, folds), members) for k in _kernels(features)], axis=0
    )
    return BlindTest(float(areas[0]), p_value(areas[1:], float(areas[0])), len(features))


def standardize(features: Floats) -> Floats:
    """Return features with mean 0 and deviation 1; a constant one becomes 0."""
    deviation = features.std(axis=0)
    scaled: Floats = (features - features.mean(axis=0)) / np.where(deviation > 1e-9, deviation, 1)
    return scaled


def _choose(groups: NDArray[np.int64], rng: Generator) -> NDArray[np.int64]:
    """Return the indices of the clips of random groups, about `MOST_CLIPS` at most."""
    if len(groups) <= MOST_CLIPS:
        return np.arange(len(groups))
    order = rng.permutation(int(groups.max()) + 1)[groups]
    return np.sort(np.argsort(order, kind="stable")[:MOST_CLIPS])


def _kernels(features: Floats) -> list[Floats]:
    """Return a linear and a Gaussian kernel, ``(S, S)``, with a mean diagonal of 1."""
    products = features @ features.T
    square = np.diag(products)
    distances = np.maximum(square[:, None] + square - 2 * products, 0)
    scale = np.median(distances[np.triu_indices(len(distances), 1)])
    return [products / max(square.mean(), 1e-9), np.exp(-distances / max(scale, 1e-9))]


def _out_of_fold(kernel: Floats, members: Floats, folds: NDArray[np.int64]) -> Floats:
    """Return the predictions of kernel ridge regressions on the other folds, ``(S, P)``."""
    predicted = np.zeros_like(members)
    for fold in range(FOLDS):
        test, train = folds == fold, folds != fold
        if not test.any():
            continue
        gram = kernel[np.ix_(train, train)] + PENALTY * np.eye(int(train.sum()))
        centered = members[train] - members[train].mean(axis=0)
        predicted[test] = kernel[np.ix_(test, train)] @ np.linalg.solve(gram, centered)
    return predicted


def _areas(scores: Floats, members: Floats) -> Floats:
    """Return the area under the curve of each column, ``(P,)``."""
    ranks = rankdata(scores, axis=0)
    n_members = members.sum(axis=0)
    n_others = len(members) - n_members
    areas: Floats = ((ranks * members).sum(axis=0) - n_members * (n_members + 1) / 2) / (
        n_members * n_others
    )
    return areas
