"""Check that the answer for a clip is always the same, and the same in every batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import nn

from frami.adoption.calling import Calling
from frami.adoption.failures import user_error
from frami.adoption.trace import Trace, trace
from frami.adoption.trial import Trial
from frami.core.errors import UsageError

TOLERANCE = 1e-4  # relative to the largest value of a tensor
MORE_CALLS = 30  # of a module that draws random numbers: dropout may change nothing in one call


def check_clips_are_independent(trial: Trial, calling: Calling) -> None:
    """Refuse a module whose answer changes from call to call, or with the batch of a clip."""
    before = torch.get_rng_state()
    differing = _difference_in_calls(trial, calling, 1)
    is_random = not torch.equal(before, torch.get_rng_state())
    if differing is None and is_random:
        differing = _difference_in_calls(trial, calling, MORE_CALLS)
    alone = trial.run(calling.layout, calling.n_frames, clips=1)
    if differing is None and alone.error is not None:
        raise UsageError(
            f"The module takes no batch of one clip. {user_error(alone.error)}. Correct it."
        )
    in_batches = _first_difference(calling.long, alone, calling.long.ended)
    if differing is not None or (is_random and in_batches is not None):
        raise UsageError(
            f"The module gives the same clip other values from call to call, from "
            f"{differing or in_batches!r} on. Switch dropout and other random steps off in eval "
            f"mode, such as F.dropout(x, training=self.training)."
        )
    if in_batches is None:
        return
    layer = dict(trial.module.named_modules()).get(in_batches)
    if getattr(layer, "running_mean", 0) is None:
        raise UsageError(
            f"The batch norm {in_batches!r} keeps no running moments (track_running_stats=False), "
            f"so the answer for a clip depends on its batch. Adopt a model that keeps them, or use "
            f"an instance norm in its place."
        )
    raise UsageError(
        f"The answer for a clip depends on the other clips of its batch, from {in_batches!r} on. "
        f"Correct the module so that it does not mix clips."
    )


def _difference_in_calls(trial: Trial, calling: Calling, calls: int) -> str | None:
    """Return the first module whose output changes in further calls; None if none does."""
    for _ in range(calls):
        again = trial.run(calling.layout, calling.n_frames)
        if differing := _first_difference(calling.long, again, calling.long.ended):
            return differing
    return None


def find_random_values(trial: Trial, calling: Calling, other: nn.Module) -> Iterator[str]:
    """Yield a sentence if a module has values that the function that builds it draws at random.

    Args:
        trial: The module and its input.
        calling: How it is called.
        other: The module, built again with another seed, with the same weights.
    """
    device = next((tensor.device for tensor in trial.module.parameters()), "cpu")
    again = trace(other.to(device), trial.input(calling.layout, calling.n_frames))
    differing = _first_difference(calling.long, again, calling.long.ended)
    if differing is not None:
        yield (
            f"The function that builds the module draws values at random, which no weights "
            f"replace: its output differs from build to build, from {differing!r} on. Those of "
            f"training are lost in the bundle. Load all weights, and keep other values in buffers."
        )


def _first_difference(one: Trace, other: Trace, names: Iterable[str]) -> str | None:
    """Return the first module whose output for the first clip differs; '.' is the network."""
    for name in [*names, *one.result]:
        x, y = one.tensors.get(name), other.tensors.get(name)
        if x is None or y is None or not x.is_floating_point():
            continue
        first, second = x[: len(y)], y[: len(x)]
        if first.shape != second.shape:
            continue
        scale = float(first.abs().max().clamp_min(1))
        if not torch.allclose(first, second, rtol=0, atol=TOLERANCE * scale, equal_nan=True):
            return name
    return None
