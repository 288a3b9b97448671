"""Long sounds, block by block: files that do not fit into memory, and live streams."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from frami.audio import io
from frami.audio.decoding import DECODING_ERRORS, check_file, open_audio, reading_error
from frami.audio.levels import Mixdown
from frami.core.errors import OperationError

BLOCK_SECONDS = 10.0


class Resampler:
    """Resample a waveform that comes in chunks of any size.

    The results, joined, are what `frami.audio.io.resample` returns for the whole waveform. They lag
    behind the chunks by half the length of its filter, 67 samples at the lower of the two rates.

    Args:
        rate: Rate of the chunks, Hz.
        new_rate: Rate of the results, Hz.
    """

    def __init__(self, rate: int, new_rate: int) -> None:
        self.rate, self.new_rate = rate, new_rate
        self._old, self._new = io.resample_ratio(rate, new_rate)
        lower = min(self._old, self._new)
        reach = math.ceil(io.FILTER_ZEROS * self._old / (io.FILTER_CUTOFF * lower)) + 1
        # Samples of the result at both ends that depend on the zeros beside the waveform.
        self.edge = 0 if rate == new_rate else math.ceil(reach * self._new / self._old)
        # Output samples repeat their positions between input samples every `_old` input samples.
        self._context = -(-reach // self._old) * self._old
        self._buffer = torch.zeros(0)
        self._start = 0  # position of the buffer in the waveform; a multiple of `_old`
        self._n_done = 0  # samples returned

    def feed(self, chunk: Tensor) -> Tensor:
        """Return the samples that a chunk ``(T,)`` completes; maybe none."""
        if self.rate == self.new_rate:
            return chunk
        self._buffer = torch.cat([self._buffer, chunk])
        complete = (len(self._buffer) - self._context) // self._old * self._old
        return self._take(self._start + complete) if complete > 0 else torch.zeros(0)

    def finish(self) -> Tensor:
        """Return the samples that are left at the end of the waveform."""
        if self.rate == self.new_rate:
            return torch.zeros(0)
        return self._take(self._start + len(self._buffer))

    def _take(self, end: int) -> Tensor:
        """Return the samples up to a position of the waveform, and drop what they need no more."""
        first = self._start // self._old * self._new
        n_end = -(-end * self._new // self._old)
        if n_end <= self._n_done:
            return torch.zeros(0)
        resampled = io.resample(self._buffer, self.rate, self.new_rate)
        result = resampled[self._n_done - first : n_end - first]
        self._n_done = n_end
        drop = max(0, (end - self._context) // self._old * self._old - self._start)
        self._buffer, self._start = self._buffer[drop:], self._start + drop
        return result


def read_blocks(
    path: str | Path, sample_rate: int, seconds: float = BLOCK_SECONDS
) -> Iterator[Tensor]:
    """Yield an audio file as mono blocks ``(T,)`` at ``sample_rate`` Hz, about ``seconds`` each.

    Joined, the blocks are what `frami.audio.io.read_audio` returns, but silence is not refused.

    Raises:
        UsageError: The file does not exist.
        OperationError: The file cannot be used, as for `frami.audio.io.read_audio`. Channels that
            cancel are refused at the first block up to which they do.
    """
    path = check_file(path)
    mixdown = Mixdown(str(path), OperationError)
    with open_audio(path) as file:
        rate, n_read = file.samplerate, 0
        io.check_size(path, file.frames * file.channels)
        io.check_format(path, file.frames, file.channels, rate)
        resampler = Resampler(rate, sample_rate)
        while len(samples := _read(path, file, round(seconds * rate))):
            n_read += len(samples)
            yield resampler.feed(mixdown.mix(samples))
        if n_read < file.frames:
            raise OperationError(f"{path} is cut off after {n_read / rate:.2f} s: fetch it again.")
        yield resampler.finish()


def _read(path: Path, file: soundfile.SoundFile, n_samples: int) -> Tensor:
    """Return the next samples of an open file, ``(n_samples, channels)``; fewer at its end."""
    try:
        return torch.from_numpy(file.read(n_samples, "float32", always_2d=True))
    except DECODING_ERRORS as error:
        raise reading_error(path) from error
