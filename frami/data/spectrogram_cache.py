"""Spectrograms of recordings, from the cache folder where it has them; see `frami.core.cache`.

The key of a spectrogram is the path, the size, the inode and the times of its file. All of a pack
belong to one front end, and to one version of the code that computes them. The cache keeps values
that are not standardized, so models with the same features share them.
"""

from __future__ import annotations

import importlib.metadata
import struct
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import frami.audio
from frami.audio.frontend import FrontEnd
from frami.core.cache import Pack, digest_of, file_key
from frami.core.progress import ProgressCallback, silent
from frami.core.settings import settings_to_json
from frami.data.recordings import FileReader, Recordings

HEADER = struct.Struct("<IId")  # bands, frames, length (s)
CLIPS_AT_ONCE, MAX_PARTS = 256, 16


def compute_spectrograms(
    recordings: Recordings, front_end: FrontEnd, report: ProgressCallback = silent
) -> Iterator[tuple[Tensor, float]]:
    """Yield the spectrogram ``(F, N)`` float16 of each recording, and the recording's length (s).

    Args:
        recordings: The recordings.
        front_end: Their front end.
        report: Called with the number of finished recordings.
    """
    report(0)
    pack = _find_pack(recordings, front_end)
    size = max(CLIPS_AT_ONCE, -(-len(recordings) // MAX_PARTS))
    for first in range(0, len(recordings), size):
        part = range(first, min(first + size, len(recordings)))
        for index, (raw, seconds) in zip(
            part, _raw(recordings, front_end, part, pack), strict=True
        ):
            yield ((raw - front_end.mean) / front_end.std).half(), seconds
            report(index + 1)


def _raw(
    recordings: Recordings, front_end: FrontEnd, indices: Sequence[int], pack: Pack | None
) -> Iterator[tuple[Tensor, float]]:
    """Yield spectrograms that are not standardized; add those to the pack that it lacks."""
    rate, raw_front_end = front_end.sample_rate, front_end.unstandardized
    keys = [_key(recordings, index) if pack else "" for index in indices]
    known = pack.read(filter(None, keys)) if pack else {}
    added: dict[str, bytes] = {}
    try:
        for index, key in zip(indices, keys, strict=True):
            result = _unpack(known.pop(key, b""))
            if result is None:
                waveform = recordings.read(index, rate)
                result = raw_front_end(waveform), waveform.shape[-1] / rate
                if key and result[0].dtype == torch.float32:
                    added[key] = _pack(*result)
            yield result
    finally:
        if pack:
            pack.add(added)


def _find_pack(recordings: Recordings, front_end: FrontEnd) -> Pack | None:
    """Return the pack of a front end; None if the recordings cannot be cached.

    The code of a user's function may depend on anything.
    """
    if not isinstance(recordings.read, FileReader) or front_end.function:
        return None
    settings = settings_to_json(front_end.unstandardized)
    # Sums are rounded differently with other kernels and threads.
    machine = torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
    return Pack("spectrograms", digest_of(sorted(settings.items()), code_digest(), machine))


@cache
def code_digest() -> str:
    """Return a digest of the code that reads files and computes spectrograms."""
    folder = Path(frami.audio.__file__).parent
    sources = [path.read_bytes() for path in sorted(folder.glob("*.py"))]
    packages = ("torch", "torchaudio", "soundfile", "numpy")
    return digest_of(sources, [importlib.metadata.version(package) for package in packages])


def _key(recordings: Recordings, index: int) -> str:
    return file_key(recordings.read.paths[index]) if isinstance(recordings.read, FileReader) else ""


def _pack(raw: Tensor, seconds: float) -> bytes:
    return HEADER.pack(*raw.shape, seconds) + raw.contiguous().numpy().tobytes()


def _unpack(content: bytes) -> tuple[Tensor, float] | None:
    """Return a spectrogram and the length of its recording, or None if there is none."""
    if len(content) < HEADER.size:
        return None
    bands, frames, seconds = HEADER.unpack_from(content)
    if len(content) != HEADER.size + 4 * bands * frames:
        return None
    values = np.frombuffer(content, "<f4", offset=HEADER.size).reshape(bands, frames)
    return torch.from_numpy(values.copy()), seconds
