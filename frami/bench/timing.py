"""How times are measured, the teacher that is timed, and a line of the table."""

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
from frami.core.runtime import Runtime
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
    """One line of the table.

    Attributes:
        what: What was timed.
        value: The result, in ``unit``.
        unit: Unit of ``value``.
        ratio: ``value`` divided by that of the reference; None without a reference.
        reference: What ``value`` is compared with.
    """

    what: str
    value: float
    unit: str
    ratio: float | None = None
    reference: str = ""

    def __str__(self) -> str:
        """Return the line of the Markdown table."""
        compared = f"{self.ratio:.2f} | {self.reference}" if self.ratio else " | "
        return f"| {self.what} | {self.value:.4g} {self.unit} | {compared} |"


def untrained_teacher(
    labels: int = CLASSES, front_end: FrontEnd | None = None, **arguments: Any
) -> Model:
    """Return an untrained teacher; its batch norms hold the statistics of a batch of noise."""
    front_end = front_end or default_front_end(esc50)
    names = tuple(f"class {index}" for index in range(labels))
    architecture = Architecture("resnet", arguments)
    with seeds.seeded(0, Stream.UNTRAINED_TEACHER), torch.no_grad():
        model = Model.build(architecture, front_end, names, frame_range=(FRAMES, FRAMES))
        model.network.train()(torch.randn(8, front_end.n_mels, FRAMES))
    model.network.eval().requires_grad_(False)
    return model


def forward_backward(model: Model, mel: Tensor, runtime: Runtime) -> Tensor | None:
    """Pass a batch through the teacher and back; return the gradient of the batch."""
    moved = mel.to(runtime.device, copy=True).requires_grad_(True)
    with runtime.autocast():
        output = model.network(moved)
    torch.autograd.backward(output.logits.float().sum())
    return moved.grad


def check_output(output: Tensor | None, shape: tuple[int, ...], what: str) -> None:
    """Raise if something that is to be timed does not compute finite, varying numbers of a shape.

    Raises:
        OperationError: If ``output`` is None, has another shape, is not finite, or is constant.
    """
    computed = (
        output is not None
        and output.shape == shape
        and bool(output.isfinite().all())
        and float(output.float().std()) > 0
    )
    if not computed:
        raise OperationError(f"{what} does not give numbers of shape {shape}, so it is not timed.")


def median_seconds(work: Callable[[], object]) -> float:
    """Return the median time (s) of some work, after running it once."""
    work()
    times = []
    for _ in range(REPETITIONS):
        began = now()
        work()
        times.append(now() - began)
    return statistics.median(times)


def now() -> float:
    """Return the CPU time (s) of all threads; with a GPU, wall-clock time once it is idle."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        for device in range(torch.cuda.device_count()):
            torch.cuda.synchronize(device)
    elif torch.backends.mps.is_available() and torch.mps.current_allocated_memory():
        torch.mps.synchronize()
    else:
        return time.process_time()
    return time.perf_counter()
