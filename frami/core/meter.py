"""Measure the cost of some work: wall-clock seconds, CPU seconds and peak memory."""

from __future__ import annotations

import ctypes
import resource
import sys
import time
from pathlib import Path


class Meter:
    """A meter that runs from its creation on; it continues from the totals of earlier sessions."""

    def __init__(
        self, seconds: float = 0.0, cpu_seconds: float = 0.0, peak_memory: int = 0
    ) -> None:
        """Start to measure.

        Args:
            seconds: Wall-clock seconds of earlier sessions of the same work.
            cpu_seconds: CPU seconds of earlier sessions, of all threads together.
            peak_memory: Peak memory of earlier sessions, bytes.
        """
        self._seconds = seconds - time.monotonic()
        self._cpu_seconds = cpu_seconds - time.process_time()
        self._peak_memory = peak_memory
        _reset_peak()

    def read(self) -> dict[str, float]:
        """Return ``seconds``, ``cpu_seconds`` and ``peak_memory`` (bytes) until now."""
        return {
            "seconds": self._seconds + time.monotonic(),
            "cpu_seconds": self._cpu_seconds + time.process_time(),
            "peak_memory": max(self._peak_memory, peak_memory()),
        }


def peak_memory() -> int:
    """Return the peak memory of this process, in bytes.

    On Linux the peak counts from the last `Meter`, elsewhere from the start of the process.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024


def _reset_peak() -> None:
    """Return freed memory to the system and reset the peak, where the system allows it (Linux)."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    except (OSError, AttributeError):
        return
