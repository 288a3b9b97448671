"""Cut a waveform that comes in chunks into overlapping windows."""

from __future__ import annotations

import torch
from torch import Tensor

Window = tuple[int, Tensor]  # position of its first sample in the waveform, and its samples


class Buffer:
    """The latest samples of a waveform; chunks are joined only when they are needed."""

    def __init__(self) -> None:
        self._start = 0  # position of the first sample in the waveform
        self._chunks: list[Tensor] = []

    def add(self, samples: Tensor) -> None:
        """Append samples ``(T,)``."""
        self._chunks.append(samples)

    def cut(self, start: int, end: int) -> Tensor:
        """Return the samples between two positions of the waveform."""
        if len(self._chunks) > 1:
            self._chunks = [torch.cat(self._chunks)]
        return self._chunks[0][start - self._start : end - self._start]

    def drop(self, start: int) -> None:
        """Forget the samples before a position of the waveform."""
        # A copy: a part of a tensor would keep all of it in memory.
        self._chunks = [torch.cat(self._chunks)[start - self._start :].clone()]
        self._start = start


class Windows:
    """Windows of ``size`` samples that begin every ``hop`` samples.

    The last window ends at the end of the waveform, so that every sample lies in a window. A
    waveform shorter than a window is one window of its own length.

    Args:
        size: Length of a window, samples.
        hop: Distance between the begins of two windows, samples; at most ``size``.
        align: The last window begins at a multiple of this, and is longer than ``size`` by up to
            ``align - 1`` samples.
        hold: Return a window only when it is not the last one. `finish` then returns the last
            window in all cases.
    """

    def __init__(self, size: int, hop: int, align: int = 1, hold: bool = False) -> None:
        self.size, self.hop = size, hop
        self._align, self._hold = align, hold
        self.total = 0  # samples so far
        self._buffer = Buffer()
        self._next = 0  # position of the next window

    def feed(self, samples: Tensor) -> list[Window]:
        """Return the windows that these samples ``(T,)`` complete."""
        self._buffer.add(samples)
        self.total += len(samples)
        windows = []
        while self._next + self.size + self._hold <= self.total:
            windows.append(self._cut(self._next, self._next + self.size))
            self._next += self.hop
        if windows:  # the last window of all may begin after the last one of these
            self._buffer.drop(self._next - self.hop)
        return windows

    def finish(self) -> list[Window]:
        """Return the last window, if the waveform does not end with the window before."""
        if self._next and not self._hold and self.total == self._next - self.hop + self.size:
            return []
        start = max(0, self.total - self.size) // self._align * self._align
        return [self._cut(start, self.total)] if self.total else []

    def _cut(self, start: int, end: int) -> Window:
        return start, self._buffer.cut(start, end)
