"""Read files whole, and identify them by their contents: names alone do not tell them apart.

The digest of a file depends on its bytes alone, not on its time of change, so that a copy counts as
the same file. It is computed once for each version of a file and kept in the cache folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from frami.audio.io import read_audio
from frami.core.cache import Pack, file_key
from frami.core.files import reraise_os_errors

MAX_THREADS = 8


@dataclass(frozen=True)
class FileReader:
    """Reads whole files: a clip is what its file holds, so that it can be cached.

    Attributes:
        paths: One file per clip.
    """

    paths: tuple[Path, ...]

    def __call__(self, index: int, sample_rate: int) -> Tensor:
        """Return a clip as a mono waveform ``(T,)``."""
        return read_audio(self.paths[index], sample_rate)

    def contents_digest(self) -> str:
        """Return 8 hex digits of the sizes and contents of the files, in their order.

        Raises:
            OperationError: A file cannot be read.
        """
        return _digest_of_files(self.paths)

    def subset(self, indices: Sequence[int]) -> FileReader:
        """Return the reader of the clips with these indices."""
        return FileReader(tuple(self.paths[index] for index in indices))


def _digest_of_files(paths: Sequence[Path]) -> str:
    pack = Pack("digests", "sha256")
    keys = [file_key(path) for path in paths]
    known = pack.read(filter(None, keys))
    missing = [index for index, key in enumerate(keys) if key not in known]
    threads = min(MAX_THREADS, torch.get_num_threads())
    with reraise_os_errors("read"), ThreadPoolExecutor(threads) as pool:
        computed = pool.map(_digest, (paths[i] for i in missing), (keys[i] for i in missing))
        added = {index: digest.encode() for index, digest in zip(missing, computed, strict=True)}
    pack.add({keys[index]: digest for index, digest in added.items() if keys[index]})
    digests = [added.get(index, known.get(key)) for index, key in enumerate(keys)]
    return hashlib.sha256(repr(digests).encode()).hexdigest()[:8]


@cache
def _digest(path: Path, key: str) -> str:
    """Return the digest of a file; the key, which changes with it, makes the result cacheable."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return f"{file.tell()} {digest}"
