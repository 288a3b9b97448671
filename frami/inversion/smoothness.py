"""Total variation of spectrograms, as a loss of inversion: low for smooth clips."""

from __future__ import annotations

import torch
from torch import Tensor


def total_variation(mel: Tensor) -> Tensor:
    """Return the sum of the norms of differences between neighbors in time, frequency, diagonals.

    Args:
        mel: Clips ``(B, F, N)``.

    Source: Yin et al., "Dreaming to Distill", CVPR 2020, arXiv:1912.08795, R_TV; as in
    the authors' code, each norm is taken over the whole batch.
    """
    return torch.stack([gap.norm() for gap in _neighbor_gaps(mel)]).sum()


def mean_total_variation(mel: Tensor) -> Tensor:
    """Return the sum of the mean absolute differences between neighbors, as `total_variation`.

    For 64 clips of 64 bands and 160 frames of N(0, 1), it is 1,000 times smaller than the sum of
    the norms, so the two forms need different weights.

    Args:
        mel: Clips ``(B, F, N)``.

    Source: the authors' code of Fang et al., "Contrastive Model Inversion", for DeepInversion; also
    the second form of the authors' code of Yin et al.
    """
    return torch.stack([gap.abs().mean() for gap in _neighbor_gaps(mel)]).sum()


def _neighbor_gaps(mel: Tensor) -> list[Tensor]:
    return [
        mel[:, :, :-1] - mel[:, :, 1:],
        mel[:, :-1] - mel[:, 1:],
        mel[:, :-1, :-1] - mel[:, 1:, 1:],
        mel[:, 1:, :-1] - mel[:, :-1, 1:],
    ]
