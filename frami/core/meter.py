"""What a piece of work costs: seconds by the clock and of the CPU, and the most memory that it held."""

from __future__ import annotations

import ctypes
import resource
import sys
import time
from pathlib import Path


class Meter:
    """Runs from its making; earlier sittings of the same work count as well."""

    def __init__(
        self, seconds: float = 0.0, cpu_seconds: float = 0.0, peak_memory: int = 0
    ) -> None:
        """Begin.

        Args:
            seconds: By the clock, of earlier sittings.
            cpu_seconds: Of all threads together, of earlier sittings.
            peak_memory: Bytes, of earlier sittings.
        """
        self._seconds = seconds - time.monotonic()
        self._cpu_seconds = cpu_seconds - time.process_time()
        self._peak_memory = peak_memory
        _forget_peak()

    def read(self) -> dict[str, float]:
        """Return ``seconds``, ``cpu_seconds`` and ``peak_memory`` (bytes) up to now."""
        return {
            "seconds": self._seconds + time.monotonic(),
            "cpu_seconds": self._cpu_seconds + time.process_time(),
            "peak_memory": max(self._peak_memory, peak_memory()),
        }


def peak_memory() -> int:
    """Return the most bytes that this process held in memory: since a meter began on Linux, else since its start."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024


def _forget_peak() -> None:
    """Give freed memory back and let the kernel count anew, where it can (Linux)."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    except (OSError, AttributeError):
        return
