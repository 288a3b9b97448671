"""Size and speed of a model: parameters, multiply-adds, bytes, and the time for one clip."""

from __future__ import annotations

import math
import statistics
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

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
    """The largest complexity that is allowed.

    Attributes:
        parameters: Number of weights. Each counts as one byte, as after quantization to 8 bits.
            None is no limit.
        multiply_adds: Multiply-adds for a clip of one second; None is no limit.
        name: Where the limits come from, for a sentence.
    """

    parameters: int | None
    multiply_adds: int | None
    name: str = "the budget"


# Low-complexity acoustic scene classification, DCASE task 1: 128 kB of memory for the parameters,
# and 30 M multiply-adds for a clip of 1 s. A parameter takes 1 byte in 8 bits, 2 in float16 and 4
# in float32. Source for 2025: Schmid et al., "Low-Complexity Acoustic Scene Classification with
# Device Information in the DCASE 2025 Challenge", 2025, arXiv:2505.01747.
BUDGETS = {
    "dcase2023": Budget(128_000, 30_000_000, "the budget dcase2023"),
    "dcase2025": Budget(128_000, 30_000_000, "the budget dcase2025"),
}


def find_budget(
    name: str | None = None, max_kb: float | None = None, max_mmacs: float | None = None
) -> Budget | None:
    """Return the budget that keeps all of these limits, or None without a limit.

    Args:
        name: A name of `BUDGETS`.
        max_kb: Largest size of the parameters in 8 bits, kB (1000 bytes).
        max_mmacs: Most multiply-adds for a clip of one second, in millions.

    Raises:
        UsageError: The name is unknown, or a limit is not a positive number.
    """
    if name is not None and name not in BUDGETS:
        raise unknown_name("budget", name, BUDGETS)
    budgets = [BUDGETS[name]] if name is not None else []
    if max_kb is not None:
        limit = round(1e3 * _check_limit("max_kb", max_kb))
        budgets.append(Budget(limit, None, f"`max_kb` {max_kb:g}"))
    if max_mmacs is not None:
        limit = round(1e6 * _check_limit("max_mmacs", max_mmacs))
        budgets.append(Budget(None, limit, f"`max_mmacs` {max_mmacs:g}"))
    if not budgets:
        return None
    return Budget(
        min((one.parameters for one in budgets if one.parameters is not None), default=None),
        min((one.multiply_adds for one in budgets if one.multiply_adds is not None), default=None),
        " and ".join(one.name for one in budgets),
    )


def _check_limit(name: str, value: float) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf:
        raise UsageError(f"`{name}` is {value!r}; it must be a number above 0.")
    return value


def check_budget(budget: str | Budget, *models: Model) -> str:
    """Return a sentence on how much of a budget a model uses; raise if it exceeds the budget.

    Args:
        budget: A budget, or a name of `BUDGETS`.
        models: One model, or several that are fused and counted together.

    Raises:
        UsageError: The budget is unknown or exceeded.
    """
    limit = find_budget(budget) if isinstance(budget, str) else budget
    assert limit is not None
    work, parameters = sum(map(multiply_adds, models)), sum(model.parameters for model in models)
    of_parameters = "" if limit.parameters is None else f" of {limit.parameters:,}"
    of_work = "" if limit.multiply_adds is None else f" of {limit.multiply_adds / 1e6:g}"
    usage = (
        f"{parameters:,}{of_parameters} parameters (1 byte each, as 8-bit integers) and "
        f"{work / 1e6:.1f}{of_work} M multiply-adds for a clip of 1 s"
    )
    excess = []
    if limit.parameters is not None and parameters > limit.parameters:
        excess.append(f"{parameters - limit.parameters:,} parameters")
    if limit.multiply_adds is not None and work > limit.multiply_adds:
        millions = (work - limit.multiply_adds) / 1e6
        excess.append(
            f"{millions:.1f} M multiply-adds"
            if millions >= 0.1
            else f"{work - limit.multiply_adds:,} multiply-adds"
        )
    if excess:
        subject, way = (
            ("This network uses", "Use a smaller `width`.")
            if len(models) == 1
            else ("These networks together use", "Use fewer or smaller networks.")
        )
        raise UsageError(
            f"{subject} {usage}, which exceeds {limit.name} by {' and '.join(excess)}. {way}"
        )
    return f"Within {limit.name}: {usage}."


def _bilinear_flops(*shapes: Any, **_: Any) -> int:
    """Return the operations of `torch.nn.Bilinear`, from the shapes and dimensions of its inputs.

    The other dimensions of each input are of size 1.
    """
    expanded = []
    for shape, axes in zip(shapes[:3], shapes[3:6], strict=True):
        sizes = list(shape)
        for axis in sorted(axes):
            sizes.insert(axis, 1)
        expanded.append(sizes)
    products: int = math.prod(map(max, zip(*expanded, strict=True)))
    return 2 * products


# Products that torch does not count: of a matrix or vector and a vector, and of two inputs.
UNCOUNTED: dict[Any, Any] = {
    torch.ops.aten.addmv: lambda bias, matrix, vector, **_: 2 * math.prod(matrix),
    torch.ops.aten.dot: lambda one, other, **_: 2 * math.prod(one),
    torch.ops.aten._trilinear: _bilinear_flops,
}


def multiply_adds(model: Model, seconds: float = 1.0) -> int:
    """Return the network's multiply-adds for a clip of this length (s).

    Convolutions and matrix products count, other operations do not.
    """
    counter = FlopCounterMode(display=False, custom_mapping=UNCOUNTED)
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
