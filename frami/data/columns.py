"""The columns of a store: arrays of rows, in chunks that are not compressed."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from frami.data.hdf5 import (
    DATASPACE,
    DATATYPE,
    FILL,
    LAYOUT,
    TIME,
    UNDEFINED,
    Hdf5Error,
    Source,
    read_messages,
)

# The HDF5 encoding of each dtype; that of texts of fixed size has the size after 4 bytes.
NUMBERS = {
    "100800000400000000002000": "<i4",
    "100800000800000000004000": "<i8",
    "100000000100000000000800": "<u1",
    "100000000400000000002000": "<u4",
    "11200f0002000000000010000a05000a0f000000": "<f2",
    "11201f000400000000002000170800177f000000": "<f4",
}
TEXT = bytes.fromhex("13010000")
MAX_CHUNKS, MAX_LEVELS = 10**7, 8
LEAST_ROW_BYTES = 16  # of a clip in a file that was cut off
ENTRIES_PER_NODE = 64


@dataclass(frozen=True)
class Column:
    """A column of a store, read by rows.

    Attributes:
        source: The file.
        dtype: Type of the values.
        shape: Number of rows, then the shape of a row.
        chunk: Number of rows per chunk.
        places: Address of each chunk; -1 if it is missing, which only a lenient reader accepts.
    """

    source: Source
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    chunk: int
    places: NDArray[np.int64]

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def row_bytes(self) -> int:
        """Number of bytes of a row."""
        return self.dtype.itemsize * math.prod(self.shape[1:])

    def lacks(self, start: int, stop: int) -> bool:
        """Return whether all chunks of some rows are missing."""
        return bool((self.places[start // self.chunk : -(-stop // self.chunk)] < 0).all())

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Return the rows from ``start`` to ``stop``, exclusive."""
        if not 0 <= start <= stop <= len(self):
            raise IndexError(f"rows {start} to {stop} of {len(self)}")
        parts = []
        while start < stop:
            number, offset = divmod(start, self.chunk)
            count = min(stop - start, self.chunk - offset)
            if self.places[number] < 0:
                raise Hdf5Error(f"row {start} is missing")
            place = int(self.places[number]) + offset * self.row_bytes
            parts.append(self.source.read_data(place, count * self.row_bytes))
            start += count
        values = np.frombuffer(bytearray().join(parts), self.dtype)
        return values.reshape(-1, *self.shape[1:])


def read_column(source: Source, address: int, *, lenient: bool = False) -> Column:
    """Return the column with the object header at an address.

    Args:
        source: The file.
        address: Address of the object header.
        lenient: Accept that chunks are missing.
    """
    messages = read_messages(source, address)
    if messages.keys() - {FILL, TIME} != {DATASPACE, DATATYPE, LAYOUT} or any(
        len(bodies) > 1 for bodies in messages.values()
    ):
        raise Hdf5Error("a column has properties that frami does not write")
    dtype = _read_dtype(messages[DATATYPE][0])
    shape = _read_shape(messages[DATASPACE][0])
    chunk, tree = _read_layout(messages[LAYOUT][0], shape, dtype.itemsize)
    size = chunk * dtype.itemsize * math.prod(shape[1:])
    count = -(-shape[0] // chunk)
    # Of a file that was cut off, only a part of the rows is there.
    too_large = (shape[0] * LEAST_ROW_BYTES if lenient else count * size) > source.end
    if count > MAX_CHUNKS or (count and size > source.end) or too_large:
        raise Hdf5Error(f"a column needs {count * size} bytes, but the file has {source.end}")
    places = _find_chunks(source, tree, len(shape) + 1, count, chunk, size, lenient)
    if not lenient and (places < 0).any():
        raise Hdf5Error("rows are missing")
    return Column(source, dtype, shape, chunk, places)


def _read_dtype(body: bytes) -> np.dtype[Any]:
    if body[:4] == TEXT and 0 < (size := int.from_bytes(body[4:8], "little")) < 1 << 16:
        return np.dtype(f"S{size}")
    for encoding, name in NUMBERS.items():
        if body.startswith(bytes.fromhex(encoding)):
            return np.dtype(name)
    raise Hdf5Error("a column has values of a type that frami does not write")


def _read_shape(body: bytes) -> tuple[int, ...]:
    """Return the shape of a column of 1 to 3 axes that can grow."""
    rank = body[1] if len(body) >= 8 else 0
    if not 1 <= rank <= 3 or body[:8] != bytes((1, rank, 1, 0, 0, 0, 0, 0)):
        raise Hdf5Error("a column is not an array that can grow")
    if len(body) < 8 + 16 * rank:
        raise Hdf5Error("the shape of a column is damaged")
    sizes = struct.unpack_from(f"<{2 * rank}Q", body, 8)
    shape, limits = sizes[:rank], sizes[rank:]
    if limits != (UNDEFINED, *shape[1:]) or not all(0 < size < 1 << 32 for size in shape[1:]):
        raise Hdf5Error("the shape of a column is damaged")
    return shape


def _read_layout(body: bytes, shape: tuple[int, ...], itemsize: int) -> tuple[int, int]:
    """Return the rows per chunk, and the address of the B-tree of the chunks."""
    axes = len(shape) + 1
    if body[:3] != bytes((3, 2, axes)) or len(body) < 11 + 4 * axes:
        raise Hdf5Error("a column is not stored in the file, or not in chunks")
    tree, chunk, *rest = struct.unpack_from(f"<Q{axes}I", body, 3)
    if not chunk or (*rest,) != (*shape[1:], itemsize):
        raise Hdf5Error("the chunks of a column do not hold whole rows")
    return chunk, tree


def _find_chunks(
    source: Source, tree: int, axes: int, count: int, rows: int, size: int, lenient: bool
) -> NDArray[np.int64]:
    """Return the address of each of ``count`` chunks of ``size`` bytes; -1 if it is missing."""
    entry = np.dtype(
        [("size", "<u4"), ("mask", "<u4"), ("offset", "<u8", (axes,)), ("child", "<u8")]
    )
    places = np.full(count, -1, np.int64)
    nodes = [] if tree == UNDEFINED else [(tree, MAX_LEVELS)]
    before = Node(MAX_LEVELS, UNDEFINED, UNDEFINED, UNDEFINED, np.zeros(0, entry))
    for number, (address, above) in enumerate(nodes):  # grows below
        if number and (number + 1) * ENTRIES_PER_NODE * entry.itemsize > source.end:
            raise Hdf5Error("the index of a column is damaged")
        try:
            node = _read_node(source, address, entry)
            is_next = (node.left, before.right) == (before.address, address)
            is_first = (node.left, before.right) == (UNDEFINED, UNDEFINED)
            follows = is_next if node.level == before.level else is_first
            if node.level >= above or node.entries["mask"].any() or not (follows or lenient):
                raise Hdf5Error("the index of a column is damaged")
            if node.level:
                nodes += [(int(child), node.level) for child in node.entries["child"]]
            else:
                _place(source, places, node.entries, rows, size, lenient)
            before = node
        except Hdf5Error:
            if not lenient:
                raise
    if before.right != UNDEFINED and not lenient:
        raise Hdf5Error("the index of a column is damaged")
    return places


class Node(NamedTuple):
    """A node of a B-tree of chunks, with the addresses of its neighbors on the same level."""

    level: int
    address: int
    left: int
    right: int
    entries: NDArray[np.void]


def _read_node(source: Source, address: int, entry: np.dtype[Any]) -> Node:
    # After the entries comes one more key.
    size = 24 + ENTRIES_PER_NODE * entry.itemsize + entry.itemsize - 8
    block = source.read(address, size)
    magic, kind, level, used, left, right = struct.unpack_from("<4sBBHQQ", block)
    if magic != b"TREE" or kind != 1 or used > ENTRIES_PER_NODE:
        raise Hdf5Error("the index of a column is damaged")
    if any(block[24 + used * entry.itemsize + entry.itemsize - 8 :]):
        raise Hdf5Error("the index of a column is damaged")
    return Node(level, address, left, right, np.frombuffer(block, entry, used, offset=24))


def _place(
    source: Source,
    places: NDArray[np.int64],
    entries: NDArray[np.void],
    rows: int,
    size: int,
    lenient: bool,
) -> None:
    """Enter the chunks of a leaf; a lenient reader skips those that cannot be in the file."""
    offsets, children = entries["offset"], entries["child"]
    numbers = offsets[:, 0] // rows
    good = (entries["size"] == size) & (offsets[:, 0] % rows == 0) & ~offsets[:, 1:].any(axis=1)
    good &= (numbers < len(places)) & (children <= max(source.end - size, 0))
    if lenient:
        numbers, children = numbers[good], children[good]
    elif not good.all() or len(np.unique(numbers)) < len(numbers) or (places[numbers] >= 0).any():
        raise Hdf5Error("the index of a column is damaged")
    places[numbers] = children
