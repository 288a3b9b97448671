"""Membership scores: the higher the score of a clip, the more likely the model was trained on it.

All functions take arrays of cross-entropy losses. ``exp(-loss)`` is the probability that a model
gives to the label of a clip. Letters: S clips, K reference models.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SMALLEST_LOSS = 1e-30
SMALLEST_DEVIATION = 1e-6
FEWEST_FOR_OWN_DEVIATION = 64  # reference models, as in the code of LiRA's authors


def loss_score(loss: Floats) -> Floats:
    """Return the score of the loss threshold, ``(S,)``: a lower loss means a member.

    Source: Yeom et al., "Privacy Risk in Machine Learning", CSF 2018.
    """
    return -loss


def difference_score(loss: Floats, teacher_loss: Floats) -> Floats:
    """Return how much lower the teacher's loss is than its student's, ``(S,)``.

    The student never took the clip, so its loss shows how hard the clip is. The attacker can query
    both models.
    """
    return loss - teacher_loss


def rmia_score(loss: Floats, reference_loss: Floats, is_in: Flags, gamma: float = 1.0) -> Floats:
    """Return the RMIA score ``(S,)``: the share of clips z over which clip x dominates.

    With ``r(x) = p(x) / mean(p_in(x), p_out(x))``, x dominates z if ``r(x) / r(z) > gamma``.
    ``p_in`` is the mean probability of the reference models that were trained on x, ``p_out`` of
    the others. Where no reference model was trained on x, or all were, the other mean stands alone.

    Source: Zarifzadeh et al., "Low-Cost High-Power Membership Inference Attacks", ICML 2024. We
    differ: z are all other clips of the audit, so that the score does not depend on who is a
    member.

    Args:
        loss: Losses of the audited model, ``(S,)``.
        reference_loss: Losses of the reference models, ``(K, S)``.
        is_in: Whether a reference model was trained on a clip, ``(K, S)``.
        gamma: Threshold of dominance, 1 or more.
    """
    ratio = -loss - np.log(mean_probability(reference_loss, is_in))
    dominated = np.searchsorted(np.sort(ratio), ratio - np.log(gamma), side="left")
    score: Floats = dominated / max(1, len(loss) - 1)
    return score


def mean_probability(reference_loss: Floats, is_in: Flags) -> Floats:
    """Return the mean of p_in and p_out, ``(S,)``, above 0; see `rmia_score`."""
    probability = np.exp(-reference_loss)
    means = [_masked_mean(probability, mask) for mask in (is_in, ~is_in)]
    mean: Floats = np.maximum(np.nanmean(np.stack(means), axis=0), SMALLEST_LOSS)
    return mean


def _masked_mean(values: Floats, mask: Flags) -> Floats:
    """Return the mean over the first axis of the values in a mask; NaN where there are none."""
    count = mask.sum(axis=0)
    total = np.where(mask, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def scaled_confidence(loss: Floats) -> Floats:
    """Return ``log(p / (1 - p))`` with ``p = exp(-loss)``, exact for p near 0 and near 1."""
    loss = np.maximum(loss, SMALLEST_LOSS)
    return -loss - np.log(-np.expm1(-loss))


def lira_online_score(loss: Floats, reference_loss: Floats, is_in: Flags) -> Floats:
    """Return the online LiRA score ``(S,)``: a log likelihood ratio of two Gaussians.

    The scaled confidence of a clip follows one Gaussian over reference models that were trained on
    it, and another over those that were not. Below 64 reference models, all clips share their two
    deviations.

    Source: Carlini et al., "Membership Inference Attacks From First Principles", S&P 2022.

    Args:
        loss: Losses of the audited model, ``(S,)``.
        reference_loss: Losses of the reference models, ``(K, S)``.
        is_in: Whether a reference model was trained on a clip, ``(K, S)``; every clip needs both.
    """
    confidence, references = scaled_confidence(loss), scaled_confidence(reference_loss)
    log_densities = [
        norm.logpdf(confidence, *_gaussian(references, mask)) for mask in (is_in, ~is_in)
    ]
    return np.asarray(log_densities[0] - log_densities[1], dtype=np.float64)


def lira_offline_score(loss: Floats, reference_loss: Floats, is_in: Flags) -> Floats:
    """Return the offline LiRA score ``(S,)``, from reference models not trained on the clip.

    It is the distance of the scaled confidence from the mean of the Gaussian of these models, in
    its deviations. Carlini et al. take the normal distribution function of it, which orders the
    clips alike.
    """
    mean, deviation = _gaussian(scaled_confidence(reference_loss), ~is_in)
    return (scaled_confidence(loss) - mean) / deviation


def _gaussian(references: Floats, mask: Flags) -> tuple[Floats, Floats]:
    """Return mean and deviation ``(S,)`` of the references in a mask ``(K, S)``."""
    mean = _masked_mean(references, mask)
    squares = (references - mean) ** 2
    if len(references) < FEWEST_FOR_OWN_DEVIATION:
        variance = np.full(len(mean), squares[mask].mean())
    else:
        variance = _masked_mean(squares, mask)
    return mean, np.maximum(np.sqrt(variance), SMALLEST_DEVIATION)


def neighbor_score(loss: Floats, features: Floats, targets: NDArray[np.int64], k: int) -> Floats:
    """Return the mean score of the k nearest clips of the same class, without the clip, ``(S,)``.

    The attacker queries clips like x, but never x. A clip that is alone in its class gets the mean
    of all clips.

    Args:
        loss: Losses of the audited model, ``(S,)``.
        features: Features of the clips, ``(S, D)``.
        targets: Class of each clip, ``(S,)``.
        k: Number of neighbors; fewer where a class has fewer.
    """
    scores = np.full(len(loss), -loss.mean())
    for target in np.unique(targets):
        own = np.flatnonzero(targets == target)
        if len(own) < 2:
            continue
        square = (features[own] ** 2).sum(axis=1)
        distance = square[:, None] + square - 2 * features[own] @ features[own].T
        np.fill_diagonal(distance, np.inf)
        nearest = np.argsort(distance, axis=1, kind="stable")[:, : min(k, len(own) - 1)]
        scores[own] = -loss[own][nearest].mean(axis=1)
    return scores
