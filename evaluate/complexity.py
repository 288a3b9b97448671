"""Size and speed of a model: parameters, multiply-adds, bytes, and the time for one clip."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import safetensors.torch
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from frami.core.errors import UsageError, unknown_name
from frami.core.runtime import CPU
from frami.models import bundle
from frami.models.model import Model
from frami.models.network import frozen

REPETITIONS = 15


@dataclass(frozen=True)
class Complexity:
    """Size and speed of a model.

    Attributes:
        parameters: Number of weights.
        multiply_adds: Multiply-adds of the network for one clip, without the front end.
        bytes: Size of the weights as a file.
        milliseconds: Median time of the network for one clip on the CPU, in float32 on one thread.
    """

    parameters: int
    multiply_adds: int
    bytes: int
    milliseconds: float


@dataclass(frozen=True)
class Budget:
    """The largest complexity that a challenge allows.

    Attributes:
        parameters: Number of weights. Each counts as one byte, as after quantization to 8 bits.
        multiply_adds: Multiply-adds for a clip of one second.
    """

    parameters: int
    multiply_adds: int


# Low-complexity acoustic scene classification, DCASE 2023 task 1: 128 kB of parameters and 30 M
# multiply-adds.
BUDGETS = {"dcase2023": Budget(128_000, 30_000_000)}


def check_budget(budget: str, *models: Model) -> str:
    """Return a sentence on how much of a budget a model uses; raise if it exceeds the budget.

    Args:
        budget: A name of `BUDGETS`.
        models: One model, or several that are fused and counted together.

    Raises:
        UsageError: The budget is unknown or exceeded.
    """
    if budget not in BUDGETS:
        raise unknown_name("budget", budget, BUDGETS)
    limit, work = BUDGETS[budget], sum(map(multiply_adds, models))
    parameters = sum(model.parameters for model in models)
    usage = (
        f"{parameters:,} of {limit.parameters:,} parameters (1 byte each, as 8-bit integers) and "
        f"{work / 1e6:.1f} of {limit.multiply_adds / 1e6:.0f} M multiply-adds for a clip of 1 s"
    )
    if parameters > limit.parameters or work > limit.multiply_adds:
        subject, way = (
            ("This network uses", "Use a smaller `width`.")
            if len(models) == 1
            else ("These networks together use", "Use fewer or smaller networks.")
        )
        raise UsageError(f"{subject} {usage}, which exceeds the budget {budget}. {way}")
    return f"Within the budget {budget}: {usage}."


def multiply_adds(model: Model, seconds: float = 1.0) -> int:
    """Return the network's multiply-adds for a clip of this length (s).

    Convolutions and matrix products count, other operations do not.
    """
    counter = FlopCounterMode(display=False)
    with (
        torch.no_grad(),
        CPU.placed(model.network) as network,
        frozen(network),
        _unfused_kernels(),
        counter,
    ):
        network(_empty_clip(model, seconds))
    return counter.get_total_flops() // 2


def _empty_clip(model: Model, seconds: float) -> Tensor:
    return torch.zeros(1, model.front_end.n_mels, model.front_end.n_frames(seconds))


@contextmanager
def _unfused_kernels() -> Iterator[None]:
    """Run recurrent layers and attention as separate products: fused ones are not counted."""
    fast = torch.backends.mha.get_fastpath_enabled()
    with warnings.catch_warnings():
        # The mkldnn flags warn about the matrix product settings of other devices.
        warnings.simplefilter("ignore")
        with torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH):
            torch.backends.mha.set_fastpath_enabled(False)
            try:
                yield
            finally:
                torch.backends.mha.set_fastpath_enabled(fast)


def measure_complexity(model: Model, seconds: float = 1.0) -> Complexity:
    """Return the size of a model, and its speed for a clip of this length (s)."""
    mel = _empty_clip(model, seconds)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = []
        with CPU.placed(model.network) as network, frozen(network), torch.inference_mode():
            network(mel)
            for _ in range(REPETITIONS):
                start = time.perf_counter()
                network(mel)
                times.append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(threads)
    return Complexity(
        model.parameters,
        multiply_adds(model, seconds),
        len(safetensors.torch.save(bundle.state_tensors(model.network))),
        1000 * statistics.median(times),
    )
