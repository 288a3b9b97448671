"""Losses for teachers whose batch norms say little or nothing about their training data.

Pure functions, each a scalar in float32. Shapes: B clips, T tokens (patches of a clip), D features
of a token, H heads, F bands, N frames.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from frami.inversion.hooks import Moments, channel_moments
from frami.inversion.losses import batch_norm_loss

MAX_PATCHES = 64
VARIANCE_FLOOR = 1e-8
C1, C2 = 0.01**2, 0.03**2  # the constants of SSIM


def patch_entropy_loss(layers: Sequence[Tensor], rng: torch.Generator) -> Tensor:
    """Return minus the entropy of the similarities between patches, mean over layers and clips.

        H = 1/2 log(2 pi e var(similarities))

    is the entropy of a normal distribution. The similarities are the cosines between all pairs of
    up to `MAX_PATCHES` random tokens of a clip, each token with itself included. To sounds, a
    network responds with tokens that differ; to noise, with tokens that are alike.

    Args:
        layers: Outputs of the layers, ``(B, T, D)`` each.
        rng: Draws the tokens, the same for all clips of a layer.

    Returns:
        Scalar; 0 without layers.

    Source: MaskAQ, ICML 2026, arXiv:2606.04373 (closed form, random patches), after PSAQ-ViT,
    ECCV 2022, arXiv:2203.02250. Differs: as in PSAQ-ViT, tokens are the outputs of attention, where
    MaskAQ's code compares rows of the scores; no token is left out.
    """
    if not layers:
        return torch.zeros(())
    entropies = [_similarity_entropy(tokens.float(), rng) for tokens in layers]
    return -torch.stack(entropies).mean()


def _similarity_entropy(tokens: Tensor, rng: torch.Generator) -> Tensor:
    count = tokens.shape[1]
    if count > MAX_PATCHES:
        chosen = torch.randperm(count, generator=rng)[:MAX_PATCHES]
        tokens = tokens[:, chosen.to(tokens.device)]
    directions = F.normalize(tokens, dim=2, eps=1e-6)
    similarities = (directions @ directions.transpose(1, 2)).flatten(1)
    variance = similarities.var(dim=1, correction=0) + VARIANCE_FLOOR
    return 0.5 * (math.log(2 * math.pi * math.e) + variance.log()).mean()


def head_agreement_loss(maps: Sequence[Tensor], rng: torch.Generator) -> Tensor:
    """Return ``1 - SSIM^2`` between the attention maps of every two heads, mean over layers.

    The map of a query is its row of attention weights, scaled to [0, 1]. SSIM is computed once over
    the whole row. To real inputs, the heads of a trained transformer attend alike.

    Args:
        maps: Attention weights, ``(B, H, T, T)`` each.
        rng: Draws up to `MAX_PATCHES` queries of each layer.

    Returns:
        Scalar in [0, 1]; 0 without layers, and where there is a single head.

    Source: MimiQ, AAAI 2025, arXiv:2407.20021, as in the code of MaskAQ. Differs: queries are drawn
    at random where there are more than `MAX_PATCHES`; class tokens stay in.
    """
    if not maps:
        return torch.zeros(())
    return torch.stack([_head_disagreement(weights.float(), rng) for weights in maps]).mean()


def _head_disagreement(weights: Tensor, rng: torch.Generator) -> Tensor:
    count = weights.shape[2]
    if count > MAX_PATCHES:
        chosen = torch.randperm(count, generator=rng)[:MAX_PATCHES]
        weights = weights[:, :, chosen.to(weights.device)]
    rows = weights.transpose(1, 2)  # (B, T, H, T): the heads of each query
    rows = rows - rows.amin(dim=3, keepdim=True)
    rows = rows / (rows.amax(dim=3, keepdim=True) + VARIANCE_FLOOR)
    mean = rows.mean(dim=3)
    centered = rows - mean.unsqueeze(3)
    covariance = centered @ centered.transpose(2, 3) / rows.shape[3]
    variance = covariance.diagonal(dim1=2, dim2=3)
    products = mean.unsqueeze(3) * mean.unsqueeze(2)
    squares = mean.square().unsqueeze(3) + mean.square().unsqueeze(2)
    spread = variance.unsqueeze(3) + variance.unsqueeze(2)
    ssim = (2 * products + C1) * (2 * covariance + C2) / ((squares + C1) * (spread + C2))
    return (1 - ssim.square()).mean()


def input_statistics_loss(mel: Tensor, reference: Mapping[str, Moments]) -> Tensor:
    """Return the distance of the clips' statistics from those of other sounds.

    It is `frami.inversion.losses.batch_norm_loss`, in its relative form, with the clips as one
    layer and the differences between neighboring frames as another.

    Args:
        mel: Clips ``(B, F, N)``.
        reference: What `clip_statistics` returns for other sounds.

    Source: ours. Genie, CVPR 2023, counts the moments of the input as those of a layer.
    """
    return batch_norm_loss(clip_statistics(mel), reference)


def clip_statistics(mel: Tensor) -> dict[str, Moments]:
    """Return the moments of each band of clips ``(B, F, N)``, and of its changes over time."""
    return {"values": channel_moments(mel), "changes": channel_moments(mel.diff(dim=2))}
