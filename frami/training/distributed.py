"""Divide the steps of a training among processes; the gradients are those of a single process.

Every process reads and augments the whole batch of a step, because augmentation mixes its clips.
The networks then run on the process' own part. Their outputs are put together again before the
losses, so that each loss is that of the whole batch: also one that compares the clips with one
another, or is divided by a mean over the batch. Batch norms take the statistics of the whole batch.
`torch.nn.SyncBatchNorm` does that on GPUs alone. `DistributedDataParallel` would average the
gradients while the backward pass still runs, which pays between machines. It takes seconds to
import.

Sums are rounded differently, and dropout draws other numbers for each part. A network that skips
layers at random cannot be trained in this way: all processes must run the same layers.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from frami.core import processes
from frami.core.errors import UsageError
from frami.models.batch_norm_calls import replaced_batch_norms
from frami.models.network import Output


def share_weights(student: nn.Module) -> None:
    """Give a module of every process the weights and buffers of the first one."""
    if processes.count() > 1:
        student.load_state_dict(processes.from_first(student.state_dict))


def share_gradients(student: nn.Module) -> None:
    """Replace the gradients of a module by their means over the processes."""
    if processes.count() == 1:
        return
    gradients = [p.grad for p in student.parameters() if p.grad is not None]
    mean = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(mean)
    mean /= processes.count()
    parts = torch.split(mean, [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def own_part(batch: Tensor) -> Tensor:
    """Return the clips of a batch that are this process' part; parts differ by one clip at most.

    Raises:
        UsageError: There are more processes than clips.
    """
    if len(batch) < processes.count():
        raise UsageError(
            f"A batch of {len(batch)} clips cannot be divided among {processes.count()} processes. "
            f"Start fewer processes, or set a larger batch_size."
        )
    return batch.tensor_split(processes.count())[processes.rank()]


def gather(output: Output, size: int, *, hidden: bool) -> Output:
    """Return the output for a whole batch from those for its parts.

    Args:
        output: The output for the own part.
        size: Number of clips of the batch.
        hidden: Whether a loss needs the hidden state. Otherwise it is left empty, because it is
            large.
    """
    if processes.count() == 1:
        return output
    frames = output.frame_logits
    return replace(
        output,
        logits=_gather(output.logits, size),
        hidden=_gather(output.hidden, size) if hidden else output.hidden[:0],
        stats=_gather(output.stats, size),
        embedding=_gather(output.embedding, size),
        frame_logits=None if frames is None else _gather(frames, size),
    )


def _gather(rows: Tensor, size: int) -> Tensor:
    whole: Tensor = _Gather.apply(rows.float(), size)  # type: ignore[no-untyped-call]
    return whole.to(rows.dtype)


class _Gather(torch.autograd.Function):
    """All rows of a batch, from the parts; the gradient is the sum over all processes.

    Every process has the loss of the whole batch. `share_gradients` takes the mean over the
    processes, so the result is the gradient of one such loss.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, size: int) -> Tensor:
        parts = torch.arange(size).tensor_split(processes.count())
        padded = rows.new_zeros(len(parts[0]), *rows.shape[1:])
        padded[: len(rows)] = rows
        received = [torch.empty_like(padded) for _ in parts]
        dist.all_gather(received, padded)
        return torch.cat([one[: len(part)] for one, part in zip(received, parts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0].contiguous().clone()
        dist.all_reduce(gradient)
        return own_part(gradient), None


def shared_batch_norms() -> AbstractContextManager[Any]:
    """Return the context in which batch norms in training use the statistics of the whole batch."""
    return nullcontext() if processes.count() == 1 else replaced_batch_norms(_batch_norm)


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
    """Do what `torch.nn.functional.batch_norm` does, with the statistics of all parts."""
    if not training:
        return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    values = input.float()
    with torch.no_grad():
        mean, var, n_values = _statistics(values)
        if running_mean is not None and running_var is not None:
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            unbiased = var * n_values / (n_values - 1)
            running_var.lerp_(unbiased.to(running_var.dtype), momentum)
    weight = torch.ones_like(mean) if weight is None else weight
    bias = torch.zeros_like(mean) if bias is None else bias
    arguments = values, weight, bias, mean, var, n_values, eps
    normal: Tensor = _Normalize.apply(*arguments)  # type: ignore[no-untyped-call]
    return normal.to(input.dtype)


class _Normalize(torch.autograd.Function):
    """Batch norm with the statistics of all parts, and the gradient through these statistics.

        dx = w / s (g - sum(g) / n - z sum(g z) / n),    z = (x - mean) / s

    The sums are over all processes.
    """

    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        var: Tensor,
        n_values: Tensor,
        eps: float,
    ) -> Tensor:
        ctx.save_for_backward(values, weight, mean, var, n_values)
        ctx.eps = eps
        return F.batch_norm(values, mean, var, weight, bias, eps=eps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        values, weight, mean, var, n_values = ctx.saved_tensors
        # As in eval mode: without the gradient through the statistics.
        direct, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradients[0], values, weight, mean, var, None, None, False, ctx.eps, [True] * 3
        )
        sums = torch.stack([of_bias, of_weight])
        dist.all_reduce(sums)
        sums /= n_values
        deviation = (var + ctx.eps).rsqrt()
        slope = -weight * deviation.square() * sums[1]
        offset = -weight * deviation * sums[0] - slope * mean
        # In channels-last layout, this is several times as fast as `addcmul_`.
        zero, one = torch.zeros_like(mean), torch.ones_like(mean)
        gradient = direct.add_(F.batch_norm(values, zero, one, slope, offset, eps=0.0))
        return gradient, of_weight, of_bias, None, None, None, None


def _statistics(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean ``(C,)`` and variance ``(C,)`` over all processes, and the number of values.

    The variance is that within the parts, plus that of their means.
    """
    channels = values.shape[1]
    # In channels-last layout, this is several times as fast as `torch.var_mean`.
    mean, var = torch.batch_norm_update_stats(values, None, None, 0.0)
    own_size = values.new_tensor([values.numel() / channels])
    parts = _gather(torch.cat([mean, var, own_size]).unsqueeze(0), processes.count())
    means, variances, sizes = torch.split(parts, [channels, channels, 1], dim=1)
    shares = sizes / sizes.sum()
    mean = (shares * means).sum(dim=0)
    var = (shares * (variances + (means - mean).square())).sum(dim=0)
    return mean, var, sizes.sum()
