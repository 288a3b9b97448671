"""Check that the answer for a clip is always the same, and the same in every batch."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from frami.adoption.calling import Calling
from frami.adoption.failures import user_error
from frami.adoption.trace import Trace
from frami.adoption.trial import Trial
from frami.core.errors import UsageError

TOLERANCE = 1e-4  # relative to the largest value of a tensor


def check_clips_are_independent(trial: Trial, calling: Calling) -> None:
    """Refuse a module whose answer changes from call to call, or with the batch of a clip."""
    again = trial.run(calling.layout, calling.n_frames)
    differing = _first_difference(calling.long, again, calling.long.ended)
    if differing is not None:
        raise UsageError(
            f"The module gives the same clip other values from call to call, from "
            f"{differing!r} on. Switch dropout and other random steps off in eval mode, such as "
            f"F.dropout(x, training=self.training)."
        )
    alone = trial.run(calling.layout, calling.n_frames, clips=1)
    if alone.error is not None:
        raise UsageError(
            f"The module takes no batch of one clip. {user_error(alone.error)}. Correct it."
        )
    differing = _first_difference(calling.long, alone, calling.long.ended)
    if differing is None:
        return
    layer = dict(trial.module.named_modules()).get(differing)
    if getattr(layer, "running_mean", 0) is None:
        raise UsageError(
            f"The batch norm {differing!r} keeps no running moments (track_running_stats=False), "
            f"so the answer for a clip depends on its batch. Adopt a model that keeps them, or use "
            f"an instance norm in its place."
        )
    raise UsageError(
        f"The answer for a clip depends on the other clips of its batch, from {differing!r} on. "
        f"Correct the module so that it does not mix clips."
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
