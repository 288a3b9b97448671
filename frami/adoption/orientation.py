"""Tell frequency from time for a network that takes its input in both orders.

A convolutional network that pools over both axes takes a spectrogram and its transpose. Its answers
for one of them are worthless, so all hints count. A feature function of the user's own returns the
axes in the network's order. An axis that is averaged alone, before the other, is frequency; so is
the axis that is downsampled more. The inputs of batch norms are near their running moments for the
order of the training. Without any of these, the order of the features' library counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from frami.adoption.trace import Trace, name_axes
from frami.adoption.trial import Trial
from frami.inversion.hooks import record_batch_norm_inputs

REDUCTIONS = {"mean", "sum", "amax", "max", "std", "var", "logsumexp"}
SHORTER = 0.7  # share of the length
CLEARLY = 1.5  # ratio of two figures from which on they count
VAR_FLOOR = 1e-5
WEIGHTS = 16, 8, 4, 2, 1  # of the hints, in the order above


def sort_layouts(trial: Trial, taken: Mapping[str, Trace], n_frames: int) -> list[str]:
    """Return layouts that a module takes, the one first that the hints speak for.

    Args:
        trial: The module and its input.
        taken: The passes of clips by layout, in the order that counts without hints.
        n_frames: Their number of frames.
    """
    shorter = max(1, round(SHORTER * n_frames))
    distances = {layout: _moment_distance(trial, layout, n_frames) for layout in taken}
    scores = {
        layout: sum(
            weight * hint
            for weight, hint in zip(
                WEIGHTS,
                (
                    _function_hint(trial, layout),
                    _reduction_hint(trial, layout, n_frames, shorter),
                    _downsampling_hint(passed, trial.run(layout, shorter), trial, n_frames),
                    _moment_hint(distances, layout),
                    _library_hint(trial, layout),
                ),
                strict=True,
            )
        )
        for layout, passed in taken.items()
    }
    return sorted(taken, key=lambda layout: -scores[layout])  # stable


def _function_hint(trial: Trial, layout: str) -> int:
    """Return 1 if the user's feature function has the order of a layout, -1 if not, 0 if none."""
    front_end = trial.front_end
    if not front_end.function:
        return 0
    return 1 if front_end.frames_first == ("nf" in layout) else -1


def _library_hint(trial: Trial, layout: str) -> int:
    """Return 1 if a layout has the order in which most libraries give such features, else 0.

    Kaldi and SpeechBrain give frames first, librosa and torchaudio bands first.
    """
    front_end = trial.front_end
    frames_first = front_end.padding == "none" or front_end.filterbank == "speechbrain"
    return int(frames_first == ("nf" in layout))


class _Reductions(TorchFunctionMode):
    """Within the block, record reductions of one axis of ``(B, C, H, W)``: shape and axis."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[torch.Size, int]] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run a torch function, and record it if it is such a reduction."""
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in REDUCTIONS and args and isinstance(args[0], Tensor):
            dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
            dim = dim[0] if isinstance(dim, list | tuple) and len(dim) == 1 else dim
            x = args[0]
            if x.dim() == 4 and isinstance(dim, int) and dim % 4 > 1 and min(x.shape[2:]) > 1:
                self.found.append((x.shape, dim % 4))
        return func(*args, **kwargs)


def _reduction_hint(trial: Trial, layout: str, n_frames: int, shorter: int) -> int:
    """Return 1 if the axis that is reduced alone is frequency, -1 if it is time, 0 if unclear."""
    with _Reductions() as long:
        trial.run(layout, n_frames)
    with _Reductions() as short:
        trial.run(layout, shorter)
    if len(long.found) != len(short.found):
        return 0
    is_time = {
        shape[dim] != other[dim]
        for (shape, dim), (other, _) in zip(long.found, short.found, strict=True)
    }
    return {(True,): -1, (False,): 1}.get(tuple(is_time), 0)


def _downsampling_hint(long: Trace, short: Trace, trial: Trial, n_frames: int) -> int:
    """Return 1 if frequency is downsampled more than time, -1 if less, 0 if about equally."""
    for name in reversed(long.ended):
        if name not in long.tensors or name not in short.tensors:
            continue
        shape = long.tensors[name].shape
        names = name_axes(shape, short.tensors[name].shape)
        if names not in ("bdfn", "bdnf") or shape[names.index("f")] == 1:
            continue
        by_bands = trial.front_end.n_mels / shape[names.index("f")]
        by_frames = n_frames / shape[names.index("n")]
        return (by_bands > CLEARLY * by_frames) - (by_frames > CLEARLY * by_bands)
    return 0


def _moment_hint(distances: Mapping[str, float], layout: str) -> int:
    """Return 1 if a layout is clearly nearer to the running moments than any other, else 0."""
    others = [distance for name, distance in distances.items() if name != layout]
    return int(CLEARLY * distances[layout] < min(others))


def _moment_distance(trial: Trial, layout: str, n_frames: int) -> float:
    """Return the distance of the batch norms' inputs from their running means, in deviations."""
    device = next(trial.module.parameters()).device
    with torch.no_grad(), record_batch_norm_inputs(trial.module) as stats:
        trial.module(trial.input(layout, n_frames).to(device))
    pairs = [(stats.batch[name], stats.stored[name]) for name in stats.batch]
    return sum(
        float(((batch.mean - stored.mean) ** 2 / (stored.var + VAR_FLOOR)).mean())
        for batch, stored in pairs
    )
