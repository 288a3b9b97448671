"""How a time is taken, of what, and the line of a table that tells it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from frami.audio.frontend import FrontEnd
from frami.core import seeds
from frami.core.errors import OperationError
from frami.core.seeds import Stream
from frami.datasets import esc50
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.training.supervised import default_front_end

CLASSES = 50
FRAMES = 160
BATCH_SIZE = 64
REPETITIONS = 5


@dataclass(frozen=True)
class TimingRow:
    """One line of the table: what was timed, the number, and what it is compared with."""

    what: str
    value: float
    unit: str
    ratio: float | None = None
    reference: str = ""

    def __str__(self) -> str:
        compared = f"{self.ratio:.2f} | {self.reference}" if self.ratio else " | "
        return f"| {self.what} | {self.value:.4g} {self.unit} | {compared} |"


def untrained_teacher(
    labels: int = CLASSES, front_end: FrontEnd | None = None, **arguments: Any
) -> Model:
    """Return an untrained teacher whose batch norms have seen a batch of noise."""
    front_end = front_end or default_front_end(esc50)
    names = tuple(f"class {index}" for index in range(labels))
    architecture = Architecture("resnet", arguments)
    with seeds.seeded(0, Stream.UNTRAINED_TEACHER), torch.no_grad():
        model = Model.build(architecture, front_end, names, frame_range=(FRAMES, FRAMES))
        model.network.train()(torch.randn(8, front_end.n_mels, FRAMES))
    model.network.eval().requires_grad_(False)
    return model


def check_output(found: Tensor | None, shape: tuple[int, ...], what: str) -> None:
    """Refuse to time what does not compute anything: numbers of that shape are needed, and not all of them alike.

    Raises:
        Failed: it gives something else.
    """
    if (
        found is None
        or found.shape != shape
        or not bool(found.isfinite().all())
        or float(found.float().std()) == 0
    ):
        raise OperationError(
            f"{what} does not give numbers of the shape {shape}, so it is not timed."
        )


def median_seconds(work: Callable[[], object]) -> float:
    """Return the median time of some work, after doing it once."""
    work()
    times = []
    for _ in range(REPETITIONS):
        began = now()
        work()
        times.append(now() - began)
    return statistics.median(times)


def now() -> float:
    """Return the time that the CPU's threads have worked; with a GPU the time, after all that it was asked for is done."""
    if torch.cuda.is_initialized():
        for device in range(torch.cuda.device_count()):
            torch.cuda.synchronize(device)
    elif torch.backends.mps.is_available() and torch.mps.current_allocated_memory():
        torch.mps.synchronize()
    else:
        return time.process_time()
    return time.perf_counter()
