"""Which bytes of a store belong to what: no two parts overlap, and the rest is zero."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from frami.data.columns import Column
from frami.data.hdf5 import Hdf5Error, Source

BLOCK = 1 << 20


def check_disjoint(columns: Iterable[Column]) -> None:
    """Raise if two chunks overlap: a small file could stand for any number of rows."""
    columns, none = list(columns), np.zeros(0, np.int64)
    starts = np.concatenate([none, *(column.places for column in columns)])
    sizes = np.concatenate(
        [none, *(np.full(len(c.places), c.chunk * c.row_bytes, np.int64) for c in columns)]
    )
    order = np.argsort(starts)
    starts, sizes = starts[order], sizes[order]
    if (starts[:-1] + sizes[:-1] > starts[1:]).any():
        raise Hdf5Error("two of its parts overlap")


def has_stray_bytes(source: Source, columns: Iterable[Column]) -> bool:
    """Return whether bytes outside all structures and rows differ from zero.

    The HDF5 library leaves zeros there, so that other values are damage.
    """
    starts, sizes = [np.zeros((0,), np.int64)], [np.zeros((0,), np.int64)]
    for column in columns:
        rows = np.full(len(column.places), column.chunk, np.int64)
        rows[-1:] = len(column) - column.chunk * (len(rows) - 1)
        starts.append(column.places)
        sizes.append(rows * column.row_bytes)
    read = np.array(source.structures, np.int64).reshape(-1, 2)
    begins, lengths = np.concatenate([*starts, read[:, 0]]), np.concatenate([*sizes, read[:, 1]])
    order = np.argsort(begins)
    ends = np.maximum.accumulate(begins[order] + lengths[order])
    gaps = zip(ends.tolist(), [*begins[order][1:].tolist(), source.end], strict=True)
    return source.has_stray_bytes or any(
        any(source.read_data(at, min(BLOCK, stop - at)))
        for start, stop in gaps
        for at in range(start, stop, BLOCK)
    )
