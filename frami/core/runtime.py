"""Where and how numbers are computed: device, threads, precision and memory layout, decided once and recorded."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from frami.core.errors import UsageError, unknown_name

M = TypeVar("M", bound=nn.Module)

PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class Runtime:
    """A device, and how convolutions run on it.

    Attributes:
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        precision: ``float32``, or ``bfloat16`` for autocast; moments, losses and weights stay in float32.
        channels_last: Whether 2-d convolutions run with channels as the last dimension in memory.
    """

    device: str
    precision: str
    channels_last: bool

    @property
    def name(self) -> str:
        """The device, and what GPU it is."""
        on_gpu = torch.device(self.device).type == "cuda"
        return (
            f"{self.device}, {torch.cuda.get_device_name(self.device)}" if on_gpu else self.device
        )

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context in which networks run."""
        kind = torch.device(self.device).type
        return torch.autocast(kind, torch.bfloat16, enabled=self.precision == "bfloat16")

    @contextmanager
    def placed(self, network: M) -> Iterator[M]:
        """Have a network on this device, in this layout, within the block; afterwards it is where it was."""
        before = next((tensor.device for tensor in network.parameters()), self.device)
        try:
            yield self.place(network)
        finally:
            network.to(before).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]

    def place(self, network: M) -> M:
        """Return the network on this device, in this memory layout if that is safe."""
        network.to(self.device)
        if self.channels_last and not any(_overruns(layer) for layer in network.modules()):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network


CPU = Runtime("cpu", "float32", channels_last=False)


def select_runtime(
    device: str = "auto", threads: int | None = None, precision: str = "auto"
) -> Runtime:
    """Return how to compute on this machine.

    ``auto`` goes by what the processor says of itself and not by a stopwatch, so that a run repeats: bfloat16 and
    channels-last where there are instructions for bfloat16 (half the time of float32 or less there), else float32.
    On a CPU, the process keeps freed memory from here on.

    Args:
        device: ``auto`` is the first CUDA GPU, else the CPU.
        threads: Threads of the CPU; None leaves torch's choice.
        precision: ``auto``, ``float32`` or ``bfloat16``.
    """
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    if threads is not None:
        if threads < 1:
            raise UsageError(f"--threads is {threads}; 1 or more is allowed.")
        torch.set_num_threads(threads)
    device = str(device)  # a torch.device is allowed as well
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device).type
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise _no_device(device) from error
    if kind not in ("cpu", "cuda", "mps"):
        raise _no_device(device)
    if kind == "cuda":
        with torch.cuda.device(device):
            fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        # oneDNN emulates bfloat16 on older processors, more slowly than it runs float32.
        fast = kind == "cpu" and torch.backends.mkldnn.is_available() and _has_bfloat16()
        fast = fast and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    if kind == "cpu":
        _keep_freed_memory()
    if precision == "auto":
        precision = "bfloat16" if fast else "float32"
    return Runtime(device, precision, channels_last=precision == "bfloat16")


def _overruns(layer: nn.Module) -> bool:
    """Return whether oneDNN writes past its workspace in the backward pass of this layer if channels are last.

    So does that of torch 2.13 (oneDNN's issue 6035), and the process ends, or a gradient is wrong.
    """
    if not isinstance(layer, nn.Conv2d):
        return False
    return layer.kernel_size == (1, 1) and max(layer.stride) > 1 and layer.in_channels < 16


def _no_device(device: str) -> UsageError:
    return UsageError(
        f"There is no device {device!r} on this machine; allowed: auto, cpu, or cuda or mps with a GPU."
    )


def _has_bfloat16() -> bool:
    capabilities = torch.cpu.get_capabilities()
    return any(bool(capabilities.get(name)) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def _keep_freed_memory() -> None:
    """Have glibc keep what is freed: it would hand every activation back, and its pages would be zeroed at each step.

    With other C libraries nothing is done.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        trim_threshold, most_mapped = -1, -4  # of malloc.h
        library.mallopt(trim_threshold, 2**31 - 1)
        library.mallopt(most_mapped, 0)
