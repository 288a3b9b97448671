"""How large and how slow is a model: parameters, multiply-adds, bytes, and the time for one clip."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import safetensors.torch
import torch
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
    """What a model costs.

    Attributes:
        parameters: Number of weights.
        multiply_adds: For one clip, of the network alone, without the front end.
        bytes: Size of the weights as a file.
        milliseconds: Median time of the network for one clip on the CPU, float32, one thread.
    """

    parameters: int
    multiply_adds: int
    bytes: int
    milliseconds: float


@dataclass(frozen=True)
class Budget:
    """What a model may cost at most.

    Attributes:
        parameters: Number of weights; one byte each, as they are counted after quantisation to 8 bits.
        multiply_adds: For a clip of one second.
    """

    parameters: int
    multiply_adds: int


# Low-complexity acoustic scene classification, DCASE 2023 task 1: 128 kB of parameters, 30 M multiply-adds.
BUDGETS = {"dcase2023": Budget(128_000, 30_000_000)}


def check_budget(budget: str, *models: Model) -> str:
    """Return a sentence on what a model, or several that are fused, take of a budget.

    Raises:
        WrongUse: there is no such budget, or they are beyond it.
    """
    if budget not in BUDGETS:
        raise unknown_name("budget", budget, BUDGETS)
    most, work = BUDGETS[budget], sum(map(multiply_adds, models))
    parameters = sum(model.parameters for model in models)
    takes = (
        f"{parameters:,} of {most.parameters:,} parameters (bytes, once they are 8-bit integers) and "
        f"{work / 1e6:.1f} of {most.multiply_adds / 1e6:.0f} M multiply-adds for a clip of one second"
    )
    if parameters > most.parameters or work > most.multiply_adds:
        who = "This network takes" if len(models) == 1 else "These networks together take"
        raise UsageError(
            f"{who} {takes}, beyond the budget {budget}; train smaller ones (--width), or fewer."
        )
    return f"Within the budget {budget}: {takes}."


def multiply_adds(model: Model, seconds: float = 1.0) -> int:
    """Return the network's multiply-adds for a clip of this length: those of convolutions and matrix products."""
    mel = torch.zeros(1, model.front_end.n_mels, model.front_end.n_frames(seconds))
    counter = FlopCounterMode(display=False)
    with (
        torch.no_grad(),
        CPU.placed(model.network) as network,
        frozen(network),
        _unfused_kernels(),
        counter,
    ):
        network(mel)
    return counter.get_total_flops() // 2


@contextmanager
def _unfused_kernels() -> Iterator[None]:
    """Have recurrent layers and attention computed product by product: fused ones count as nothing."""
    fast = torch.backends.mha.get_fastpath_enabled()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # the block also asks what another device's matrix products are done in
        with torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH):
            torch.backends.mha.set_fastpath_enabled(False)
            try:
                yield
            finally:
                torch.backends.mha.set_fastpath_enabled(fast)


def measure_complexity(model: Model, seconds: float = 1.0) -> Complexity:
    """Return what the model costs for a clip of this length (s)."""
    mel = torch.zeros(1, model.front_end.n_mels, model.front_end.n_frames(seconds))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = []
        with CPU.placed(model.network) as network, frozen(network), torch.inference_mode():
            network(mel)
            for _ in range(REPETITIONS):
                began = time.perf_counter()
                network(mel)
                times.append(time.perf_counter() - began)
    finally:
        torch.set_num_threads(threads)
    size = len(safetensors.torch.save(bundle.state_tensors(model.network)))
    return Complexity(
        model.parameters, multiply_adds(model, seconds), size, 1000 * statistics.median(times)
    )
