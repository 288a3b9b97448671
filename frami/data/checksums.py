"""Checksums of a store: one for each row of each column, and one for the attributes.

The column ``checksum`` (S, C) holds the CRC-32 of the bytes of each row of the other C columns, in
the order of their names. The attribute ``checksum`` holds the SHA-256 of the other attributes.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

CHECKSUM = "checksum"
ROWS_PER_CHUNK = 256


def checked_columns(names: Iterable[str]) -> list[str]:
    """Return the columns that have a checksum, in the order of their checksums."""
    return sorted(set(names) - {CHECKSUM})


def row_checksums(rows: NDArray[Any]) -> NDArray[np.uint32]:
    """Return the CRC-32 of each row, ``(S,)``."""
    # Bytes, since an array of texts has no buffer; little-endian, as in the file.
    contiguous = np.ascontiguousarray(rows)
    size = contiguous.nbytes // max(len(rows), 1)
    flat = contiguous.tobytes()
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


def with_checksums(file: h5py.File, columns: Mapping[str, Any], batch: int) -> dict[str, Any]:
    """Return a batch as it is stored, with the checksums of its rows."""
    stored = {
        name: np.broadcast_to(
            np.asarray(columns[name]).astype(file[name].dtype), (batch, *file[name].shape[1:])
        )
        for name in file
        if name != CHECKSUM
    }
    return {**stored, CHECKSUM: batch_checksums(stored)}


def small_first(names: Iterable[str]) -> list[str]:
    """Return the columns in the order to write them: a file that is cut off loses spectrograms."""
    return sorted(names, key=lambda name: (name in ("timeline", "mel"), name))


def reserve_checksums(file: h5py.File, names: Iterable[str], rows: int) -> None:
    """Add the column of checksums to a file, before its spectrograms are written."""
    width = len(checked_columns(names))
    column = file.create_dataset(
        CHECKSUM, (rows, width), "uint32", maxshape=(None, width), chunks=(ROWS_PER_CHUNK, width)
    )
    column[:] = 0


def write_checksums(file: h5py.File) -> None:
    """Fill the column of checksums of a file whose other columns are written."""
    names, column = checked_columns(file), file[CHECKSUM]
    for start in range(0, len(column), ROWS_PER_CHUNK):
        part = slice(start, min(start + ROWS_PER_CHUNK, len(column)))
        column[part] = batch_checksums({name: file[name][part] for name in names})
