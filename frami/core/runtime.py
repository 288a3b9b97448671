"""Device, threads, precision and memory layout of a computation."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from frami.core import self_test
from frami.core.cache import cache_folder
from frami.core.checks import check_integer
from frami.core.errors import OperationError, UsageError, unknown_name
from frami.core.narrow import pad_narrow_inputs, restore_inputs

M = TypeVar("M", bound=nn.Module)

MAX_THREADS = 1024  # beyond some thousands, OpenMP ends the process
PRECISIONS = ("auto", "float32", "bfloat16")
LAYOUTS = ("channels first", "channels last")


@dataclass(frozen=True)
class Runtime:
    """A device, and the precision and memory layout of convolutions on it.

    Attributes:
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        precision: ``float32``, or ``bfloat16`` for autocast. Moments, losses and weights stay in
            float32.
        channels_last: Whether 2-d convolutions use the channels-last memory layout.
    """

    device: str
    precision: str
    channels_last: bool

    @property
    def name(self) -> str:
        """The device, with the model of a CUDA GPU."""
        if torch.device(self.device).type != "cuda":
            return self.device
        return f"{self.device}, {torch.cuda.get_device_name(self.device)}"

    @property
    def layout(self) -> str:
        """The memory layout, for a record."""
        return LAYOUTS[self.channels_last]

    def autocast(self) -> AbstractContextManager[None]:
        """Return the autocast context for a network's forward pass."""
        device_type = torch.device(self.device).type
        return torch.autocast(device_type, torch.bfloat16, enabled=self.precision == "bfloat16")

    @contextmanager
    def placed(self, network: M) -> Iterator[M]:
        """Move a network to this device and layout within the block, and back afterwards."""
        original = next((tensor.device for tensor in network.parameters()), self.device)
        try:
            yield self.place(network)
        finally:
            layout = torch.contiguous_format
            network.to(original).to(memory_format=layout)  # type: ignore[call-overload]
            restore_inputs(network)

    def place(self, network: M) -> M:
        """Return the network on this device, in this memory layout where that is safe.

        A network stays contiguous if the attribute ``keeps_layout`` of one of its parts is true.
        """
        network.to(self.device)
        if torch.device(self.device).type == "cpu":
            pad_narrow_inputs(network)
        if self.channels_last and not any(
            getattr(layer, "keeps_layout", False) or _overruns_workspace(layer)
            for layer in network.modules()
        ):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network


CPU = Runtime("cpu", "float32", channels_last=False)


def select_runtime(
    device: str = "auto", threads: int | None = None, precision: str = "auto"
) -> Runtime:
    """Return the device, precision and memory layout to compute with on this machine.

    ``auto`` precision depends on the processor's instructions. With bfloat16 instructions it is
    bfloat16, which takes half the time of float32 or less for most networks; otherwise it is
    float32. On x86 processors both use the channels-last layout, which takes 0.6 to 0.9 of the time
    in float32. On other processors, a measurement of some seconds chooses both. It is kept, so that
    a run can be repeated (`frami.core.self_test`). On every CPU, a measurement that
    `frami doctor --measure` kept comes first.

    On a CPU, the process keeps freed memory from this call on.

    Args:
        device: ``auto`` is the first CUDA GPU, else the CPU.
        threads: CPU threads; None keeps torch's default.
        precision: ``auto``, ``float32`` or ``bfloat16``.

    Raises:
        UsageError: This machine has no such device, or an argument is out of range.
    """
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    if threads is not None:
        torch.set_num_threads(check_integer("threads", threads, 1, MAX_THREADS))
    device = str(device)  # may be a torch.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device_type = torch.device(device).type
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise _no_device(device) from error
    if device_type not in ("cpu", "cuda", "mps"):
        raise _no_device(device)
    if device_type == "cpu":
        _keep_freed_memory()
    if precision == "auto":
        return Runtime(device, *_choose(device))
    return Runtime(device, precision, precision == "bfloat16" or _gains_channels_last(device))


def _choose(device: str) -> tuple[str, bool]:
    """Return the precision and layout for ``auto``: as measured, or by the instructions."""
    if torch.device(device).type == "cpu":
        choice = self_test.stored_choice()
        if choice is None and not _gains_channels_last(device) and cache_folder():
            with suppress(OperationError):  # the folder cannot be written
                choice, _ = self_test.measure()
        if choice is not None:
            return choice.precision, choice.channels_last
    precision = "bfloat16" if _has_fast_bfloat16(device) else "float32"
    return precision, precision == "bfloat16" or _gains_channels_last(device)


def _gains_channels_last(device: str) -> bool:
    """Return whether the channels-last layout is known to be faster in float32.

    With oneDNN on x86 it takes 0.6 to 0.9 of the time, forward and backward, for each network of
    frami with 2-d convolutions. This was measured with AVX2 and with AVX-512.
    """
    has_onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    measured = torch.backends.cpu.get_cpu_capability().startswith("AVX")
    return torch.device(device).type == "cpu" and measured and bool(has_onednn)


def _has_fast_bfloat16(device: str) -> bool:
    device_type = torch.device(device).type
    if device_type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    has_onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if device_type != "cpu" or not has_onednn:
        return False
    # On older processors oneDNN emulates bfloat16, more slowly than it runs float32.
    capabilities = torch.cpu.get_capabilities()
    native = any(bool(capabilities.get(name)) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return native and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _overruns_workspace(layer: nn.Module) -> bool:
    """Return whether oneDNN's backward pass writes past its workspace in channels-last layout.

    It does for such layers with torch 2.13 (oneDNN issue 6035): the process ends, or a gradient is
    wrong.
    """
    if not isinstance(layer, nn.Conv2d):
        return False
    return layer.kernel_size == (1, 1) and max(layer.stride) > 1 and layer.in_channels < 16


def _no_device(device: str) -> UsageError:
    return UsageError(
        f"There is no device {device!r} on this machine. "
        f"Allowed: auto, cpu, and with a GPU cuda or mps."
    )


def _keep_freed_memory() -> None:
    """Let glibc keep freed memory; other C libraries have no such setting.

    By default glibc returns every activation to the system, which zeroes its pages at each step.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        trim_threshold, mmap_max = -1, -4  # from malloc.h
        library.mallopt(trim_threshold, 2**31 - 1)
        library.mallopt(mmap_max, 0)
