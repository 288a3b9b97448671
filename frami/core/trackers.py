"""The ``log`` callback of `frami.train`, `frami.synthesize` and `frami.distill`, and adapters.

frami.distill(..., log=log_to_tensorboard("logs"))
frami.distill(..., log=log_to(wandb.init()))
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from frami.core.environment import needs_extra
from frami.core.errors import UsageError

COUNTERS = ("step", "round")  # keys that count the lines of metrics.jsonl

Sound = tuple[str, Any, int]  # name, waveform (T,), sample rate (Hz)


class LogCallback(Protocol):
    """Take the values that a run logs, by name, at a step or round.

    A run that is resumed repeats the steps after its last saved state, with equal values.
    """

    def __call__(self, step: int, values: Mapping[str, float], /) -> None: ...


def ignore(step: int, values: Mapping[str, float], /) -> None:
    """Ignore the values that a run logs; the default of the Python functions."""


def check_log(log: object) -> None:
    """Refuse a `log` that cannot be called, before the work begins."""
    if not callable(log):
        raise UsageError(f"`log` is {log!r}; it must be a function of a step and its values.")


def pass_on(log: LogCallback, values: Mapping[str, Any]) -> None:
    """Call ``log`` with the step or round of a line of metrics.jsonl, and its other values."""
    counter = next((name for name in COUNTERS if name in values), "")
    log(values.get(counter, 0), {name: one for name, one in values.items() if name != counter})


class Tracker(Protocol):
    """A run of wandb, or of a library with the same method."""

    def log(self, values: dict[str, Any], *, step: int) -> Any: ...


def log_to(tracker: Tracker, prefix: str = "") -> LogCallback:
    """Return a callback that passes values to a tracker, with a prefix before their names."""

    def log(step: int, values: Mapping[str, float], /) -> None:
        tracker.log({prefix + name: value for name, value in values.items()}, step=step)

    return log


def log_to_tensorboard(
    folder: str | Path, sounds: Callable[[], Iterable[Sound]] | None = None, every: int = 0
) -> LogCallback:
    """Return a callback that writes event files for TensorBoard.

    Args:
        folder: Folder of the event files.
        sounds: Returns names, waveforms from -1 to 1 and sample rates (Hz) to write beside values.
        every: Number of calls between two writings of the sounds; 0 writes none.

    Raises:
        UsageError: The extra ``tensorboard`` is not installed.
    """
    writer, calls = import_tensorboard().SummaryWriter(str(folder)), 0

    def log(step: int, values: Mapping[str, float], /) -> None:
        nonlocal calls
        calls += 1
        for name, value in values.items():
            writer.add_scalar(name, value, step)
        if sounds is not None and every and calls % every == 0:
            for name, waveform, rate in sounds():
                writer.add_audio(name, waveform, step, sample_rate=rate)
        writer.flush()

    return log


def import_tensorboard() -> Any:
    """Return the module torch.utils.tensorboard.

    Raises:
        UsageError: The extra ``tensorboard`` is not installed.
    """
    with needs_extra("tensorboard", "Logs for TensorBoard need tensorboard"):
        return importlib.import_module("torch.utils.tensorboard")
