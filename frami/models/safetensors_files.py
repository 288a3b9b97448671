"""Read a safetensors file whose header is of a reasonable size."""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

# Its header names the tensors. A tensor without values takes many times the bytes of its name.
MAX_HEADER_BYTES = 1 << 23


def load_safetensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name.

    Raises:
        SafetensorError: It is damaged, or its header is too large.
        OSError: It cannot be read.
    """
    check_header(path)
    # The library's tensors are the file, mapped: a file that shrinks would end the process. They
    # begin at any byte, where some kernels round differently than in torch's own memory.
    return {name: tensor.clone() for name, tensor in safetensors.torch.load_file(path).items()}


def check_header(path: Path) -> None:
    """Raise a SafetensorError if the header of a file is too large."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
    # The header of another file, such as a pickle, is not of any size that could be read.
    if MAX_HEADER_BYTES < size <= path.stat().st_size:
        raise SafetensorError(f"its header has {size:,} bytes; {MAX_HEADER_BYTES:,} are allowed")
