"""Test whether members and others differ in themselves, without the use of any audited model.

If they do, an attack on a model may find that difference in place of leakage.

Source: Das, Zhang and Tramèr, "Blind Baselines Beat Membership Inference Attacks for Foundation
Models", 2024.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from frami.auditing.attacks import Flags, Floats
from frami.auditing.pool import Pool
from frami.auditing.resampling import p_value
from frami.auditing.roc import areas_under_curves

FOLDS = 5
PERMUTATIONS = 999
MOST_CLIPS = 3000
PENALTY = 1.0


@dataclass(frozen=True)
class BlindTest:
    """The result of a blind test.

    Attributes:
        area: Area under the curve of the better of two classifiers, out of fold. Without a
            difference it can be below 1/2.
        p_value: Share of permutations of the groups with at least this area.
        class_p_value: Share of permutations after which the classes differ at least as much in
            their share of members.
        clips: Number of clips that the classifiers used.
    """

    area: float
    p_value: float
    class_p_value: float
    clips: int

    @property
    def smaller(self) -> float:
        """The p-value of both tests together (Bonferroni)."""
        return min(1.0, 2 * min(self.p_value, self.class_p_value))


def summary_features(pool: Pool) -> Floats:
    """Return features of each clip that need no model, ``(S, 4F + 1)``, without class means.

    They are mean, deviation, 10th and 90th percentile of each band, and the logarithm of the
    length. For clips with one label, the mean of their class is subtracted.
    """
    rows = []
    for index in range(len(pool)):
        mel = pool.clips.mel(index)
        percentiles = torch.quantile(mel, torch.tensor([0.1, 0.9]), dim=1)
        deviation = mel.std(dim=1, correction=0)
        length = torch.tensor([float(np.log(mel.shape[1]))])
        rows.append(torch.cat([mel.mean(dim=1), deviation, percentiles.flatten(), length]))
    features = torch.stack(rows).double().numpy()
    targets = pool.clips.targets
    for target in np.unique(targets) if targets.ndim == 1 else ():
        features[targets == target] -= features[targets == target].mean(axis=0)
    return standardize(features)


def blind_test(
    pool: Pool, features: Floats, rng: Generator, permutations: int = PERMUTATIONS
) -> BlindTest:
    """Return whether members differ from others by their classes or by their features.

    Two classifiers predict the membership from the features: ridge regressions, one linear and one
    with a Gaussian kernel. Each clip is predicted by a regression on the other folds; a group is in
    one fold. Groups are permuted within their class. A large pool is sampled at random.

    Args:
        pool: The clips.
        features: The output of `summary_features`.
        rng: Random numbers.
        permutations: Number of permutations.
    """
    kept = _choose(pool.groups, rng)
    _, first, index = np.unique(pool.groups[kept], return_index=True, return_inverse=True)
    sides = pool.is_member[kept][first]
    targets = pool.clips.targets[kept]
    drawn = _permute(sides, _strata(targets, index), rng, permutations)[:, index].T
    folds = rng.permutation(np.arange(len(first)) % FOLDS)[index]
    predicted = [_out_of_fold(kernel, drawn, folds) for kernel in _kernels(features[kept])]
    areas = np.max([areas_under_curves(scores, drawn) for scores in predicted], axis=0)
    return BlindTest(
        float(areas[0]),
        p_value(areas[1:], float(areas[0])),
        _test_classes(targets, index, sides, rng, permutations),
        len(kept),
    )


def _strata(targets: np.ndarray, index: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the class of each group; -1 for a group of several classes, or with tags."""
    n_groups = int(index.max()) + 1
    if targets.ndim > 1:
        return np.full(n_groups, -1)
    lowest, highest = np.full(n_groups, np.iinfo(np.int64).max), np.full(n_groups, -1)
    np.minimum.at(lowest, index, targets)
    np.maximum.at(highest, index, targets)
    return np.where(lowest == highest, lowest, -1)


def _permute(sides: Flags, strata: NDArray[np.int64], rng: Generator, permutations: int) -> Floats:
    """Return the sides of the groups, then permutations of them, ``(1 + P, G)``."""
    drawn = np.tile(sides, (1 + permutations, 1)).astype(np.float64)
    for stratum in np.unique(strata):
        columns = np.flatnonzero(strata == stratum)
        drawn[1:, columns] = rng.permuted(drawn[1:, columns], axis=1)
    return drawn


def _test_classes(
    targets: np.ndarray,
    index: NDArray[np.int64],
    sides: Flags,
    rng: Generator,
    permutations: int,
) -> float:
    """Return the p-value of a chi-square statistic of classes and sides; groups are permuted."""
    counts = _class_counts(targets)
    per_group = np.zeros((len(sides), counts.shape[1]))
    np.add.at(per_group, index, counts)
    totals = np.maximum(per_group.sum(axis=0), 1e-9)
    drawn = _permute(sides, np.zeros(len(sides), np.int64), rng, permutations)
    members = drawn @ per_group  # (1 + P, K)
    share = (drawn @ np.bincount(index))[:, None] / len(index)
    chi_square = ((members - share * totals) ** 2 / (totals * share * (1 - share))).sum(axis=1)
    return p_value(chi_square[1:], float(chi_square[0]))


def _class_counts(targets: np.ndarray) -> Floats:
    """Return 1 for each class that a clip has, else 0, ``(S, C)``; an unknown tag is a class."""
    if targets.ndim == 1:
        return np.asarray(np.eye(int(targets.max()) + 1)[targets])
    unknown = np.isnan(targets)
    columns = [np.nan_to_num(targets), unknown[:, unknown.any(axis=0)]]
    return np.concatenate(columns, axis=1).astype(np.float64)


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
