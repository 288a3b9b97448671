"""Checksums of a store: one for each row of each column, and one for the attributes.

The column ``checksum`` (S, C) holds the CRC-32 of the bytes of each row of the other C columns, in
the order of their names. The attribute ``checksum`` holds the SHA-256 of the other attributes.
Stores of earlier versions have neither.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHECKSUM = "checksum"


def checked_columns(names: Iterable[str]) -> list[str]:
    """Return the columns that have a checksum, in the order of their checksums."""
    return sorted(set(names) - {CHECKSUM})


def row_checksums(rows: NDArray[Any]) -> NDArray[np.uint32]:
    """Return the CRC-32 of each row, ``(S,)``."""
    # Bytes, since an array of texts has no buffer; little-endian, as in the file.
    contiguous = np.ascontiguousarray(rows)
    size = contiguous.nbytes // max(len(rows), 1)
    flat = memoryview(contiguous.reshape(-1).view(np.uint8))
    values = [zlib.crc32(flat[at : at + size]) for at in range(0, len(flat), max(size, 1))]
    return np.array(values, np.uint32)


def batch_checksums(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.uint32]:
    """Return the checksums ``(B, C)`` of the rows of all columns."""
    names = checked_columns(columns)
    return np.stack([row_checksums(columns[name]) for name in names], axis=1)


def attributes_checksum(attributes: Mapping[str, str]) -> str:
    """Return 64 hex digits of all attributes but the checksum."""
    others = {name: text for name, text in attributes.items() if name != CHECKSUM}
    return hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()
