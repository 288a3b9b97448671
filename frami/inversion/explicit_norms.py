"""Batch norms as explicit affine maps, where torch's own gradient can be wrong."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from frami.models.batch_norm_calls import replaced_batch_norms


def explicit_batch_norms() -> replaced_batch_norms:
    """Within the block, compute eval-mode batch norms of some shapes as explicit affine maps.

    On a CPU, torch 2.13 gives a wrong input gradient for 4-d and 5-d inputs with an axis of size 1
    beside the channels, such as ``(B, C, N, 1)``, if the input and the incoming gradient have
    different strides: it takes the layout of one for that of the other. A network that moves the
    bands to the channels, normalizes and moves them back does that, as PANNs do.

    Only such inputs are affected, and only they are computed in another way: the same numbers up to
    rounding, without a second pass. All other layers run as they are, so stores do not change.
    """
    return replaced_batch_norms(_batch_norm)


def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Take the place of `torch.nn.functional.batch_norm`, with its parameters."""
    if training or running_mean is None or running_var is None or not _is_ambiguous(input):
        return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    return affine_batch_norm(input, weight, bias, running_mean, running_var, eps)


def _is_ambiguous(x: Tensor) -> bool:
    """Return whether torch can take one memory layout of a tensor for another."""
    return x.dim() > 3 and x.shape[1] > 1 and 1 in (x.shape[0], *x.shape[2:])


def affine_batch_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor, var: Tensor, eps: float
) -> Tensor:
    """Return the eval-mode batch norm of ``(B, C, ...)`` as ``scale * x + shift``, in x's type."""
    scale = (var + eps).rsqrt()
    if weight is not None:
        scale = scale * weight
    shift = -mean * scale
    if bias is not None:
        shift = shift + bias
    shape = [1, -1] + [1] * (x.dim() - 2)
    return (x * scale.view(shape) + shift.view(shape)).to(x.dtype)
