"""Read the HDF5 structures that frami writes, and refuse all others.

A store may come from a stranger, and the HDF5 library trusts its files. Links, external storage and
virtual data sets make it open other files; on damaged metadata it may loop for ever or write
outside its memory. A child process with limits could end a loop, but it would cost 0.3 s for each
store, would still run that library on hostile bytes, and could not protect the process that opens
the store afterwards. This reader takes a few milliseconds. It knows one version of ten structures,
which is all that h5py writes for a store. It follows no link, visits a limited number of
structures, and reads no byte outside the file. So only a file that this process has checked reaches
the HDF5 library, and only to be extended.

The structures are those of the HDF5 File Format Specification, version 3.0.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from frami.core.errors import OperationError
from frami.core.files import describe_os_error

SIGNATURE = b"\x89HDF\r\n\x1a\n"
UNDEFINED = 2**64 - 1
MAX_BLOCKS, MAX_BLOCK_BYTES = 64, 1 << 20  # of an object header, all its blocks together
MAX_MESSAGES = 1024  # of an object header
MAX_HEAP_BYTES = 1 << 26
MAX_ENTRIES = 64  # attributes, and columns
NIL, DATASPACE, DATATYPE, FILL, LAYOUT, ATTRIBUTE = 0x00, 0x01, 0x03, 0x05, 0x08, 0x0C
CONTINUATION, SYMBOL_TABLE, TIME = 0x10, 0x11, 0x12
# A text of variable length in UTF-8, and a scalar: what h5py writes for an attribute.
TEXT_TYPE = bytes.fromhex("1901010010000000100000000100000000000800")
SCALAR = bytes.fromhex("0100000000000000")


class Hdf5Error(ValueError):
    """The file is damaged, or holds a structure that frami does not write."""


class TruncatedError(Hdf5Error):
    """The file is shorter than it says, or is not an HDF5 file."""


@dataclass
class Source:
    """A file that is read at checked places.

    Attributes:
        path: Path of the file.
        descriptor: Descriptor of the open file.
        end: Number of bytes that may be read.
        structures: Address and size of every structure that was read.
        has_stray_bytes: Whether an unused part of a structure is not zero.
    """

    path: Path
    descriptor: int
    end: int
    structures: list[tuple[int, int]] = field(default_factory=list)
    has_stray_bytes: bool = False

    def read(self, address: int, size: int) -> bytes:
        """Return the bytes of a structure; raise if they are not all in the file."""
        self.structures.append((address, size))
        return self.read_data(address, size)

    def read_data(self, address: int, size: int) -> bytes:
        """Return bytes of rows; raise if they are not all in the file."""
        if not 0 <= address <= address + size <= self.end:
            raise Hdf5Error(f"it refers to byte {address + size}, but it has {self.end} bytes")
        parts = []
        while size:
            try:
                part = os.pread(self.descriptor, min(size, 1 << 30), address)
            except OSError as error:  # of the disk: the file may be whole
                raise OperationError(describe_os_error(error, "read", self.path)) from error
            if not part:
                raise Hdf5Error("it became shorter while it was read")
            parts.append(part)
            address, size = address + len(part), size - len(part)
        return b"".join(parts)


def is_hdf5(path: Path) -> bool:
    """Return whether a file starts as an HDF5 file."""
    with path.open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


class Group(NamedTuple):
    """The root group: addresses of its object header, of its B-tree and of its heap of names."""

    header: int
    tree: int
    heap: int


def read_superblock(source: Source, *, lenient: bool = False) -> Group:
    """Return the root group.

    Args:
        source: The file.
        lenient: Accept a file that was cut off.
    """
    if source.end < 96 or source.read(0, 8) != SIGNATURE:
        raise TruncatedError("it does not start as an HDF5 file")
    block = source.read(8, 88)
    # Versions 0, addresses and lengths of 8 bytes, nodes of h5py's sizes, no flags, no user block.
    if block[:24] != bytes.fromhex("00000000000808000400100000000000" + "00" * 8):
        raise Hdf5Error("its superblock is not of the version that frami writes")
    free, end, driver, _, header, kind, _, tree, heap = struct.unpack("<QQQQQIIQQ", block[24:])
    if end > source.end and not lenient:
        raise TruncatedError("it is cut off")
    if (free, driver, kind) != (UNDEFINED, UNDEFINED, 1):
        raise Hdf5Error("its superblock is not of the kind that frami writes")
    return Group(header, tree, heap)


def read_messages(source: Source, address: int) -> dict[int, list[bytes]]:
    """Return the messages of an object header by type, without padding."""
    version, reserved, count, _, size = struct.unpack("<BBHII", source.read(address, 12))
    if (version, reserved) != (1, 0):
        raise Hdf5Error(f"it has no object header of version 1 at byte {address}")
    blocks, found = [(address + 16, size)], dict[int, list[bytes]]()
    total, left = 0, MAX_BLOCK_BYTES
    for start, length in blocks:  # grows below
        left -= length
        if len(blocks) > MAX_BLOCKS or left < 0:
            raise Hdf5Error("an object header is too large")
        for kind, body in _split(source.read(start, length)):
            total += 1
            if total > min(count, MAX_MESSAGES):
                raise Hdf5Error("an object header has too many messages")
            if kind == CONTINUATION:
                blocks.append(unpack("<QQ", body))
            elif kind != NIL:
                found.setdefault(kind, []).append(body)
            elif any(body):
                source.has_stray_bytes = True
    if total != count:
        raise Hdf5Error(f"an object header has {total} messages in place of {count}")
    return found


def _split(block: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(block):
        kind, size, flags, *reserved = unpack("<HHB3B", block[at : at + 8])
        at += 8
        if size % 8 or at + size > len(block) or flags > 1 or any(reserved):
            raise Hdf5Error("an object header has a message of a kind that frami does not write")
        yield kind, block[at : at + size]
        at += size


def unpack(layout: str, data: bytes) -> tuple[Any, ...]:
    """Return the values at the start of some bytes."""
    if len(data) < struct.calcsize(layout):
        raise Hdf5Error("a structure is cut off")
    return struct.unpack_from(layout, data)


def read_attributes(source: Source, messages: list[bytes]) -> dict[str, str]:
    """Return the attributes of the file; all are texts."""
    heaps: dict[int, dict[int, bytes]] = {}
    attributes: dict[str, str] = {}
    left = min(source.end, MAX_HEAP_BYTES)  # a heap may lie inside another one
    if len(messages) > MAX_ENTRIES:
        raise Hdf5Error(f"it has {len(messages)} attributes")
    for body in messages:
        version, reserved, name_size, type_size, space_size = unpack("<BBHHH", body)
        kind_at = 8 + _padded(name_size)
        space_at = kind_at + _padded(len(TEXT_TYPE))
        is_text = (type_size, space_size) == (len(TEXT_TYPE), len(SCALAR))
        is_text &= body[kind_at : kind_at + len(TEXT_TYPE)] == TEXT_TYPE
        is_text &= body[space_at : space_at + len(SCALAR)] == SCALAR
        name = body[8 : 8 + name_size].partition(b"\0")[0].decode()
        if (version, reserved) != (1, 0) or not is_text or name in attributes:
            raise Hdf5Error(f"its attribute {name!r} is not a text as frami writes it")
        length, address, index = unpack("<IQI", body[space_at + len(SCALAR) :])
        if length and address not in heaps:
            heaps[address], size = _read_global_heap(source, address, left)
            left -= size
        text = heaps[address].get(index, b"") if length else b""
        if len(text) != length or b"\0" in text:  # h5py writes no text with a NUL
            raise Hdf5Error(f"its attribute {name!r} is damaged")
        attributes[name] = text.decode()
    return attributes


def _padded(size: int) -> int:
    return (size + 7) // 8 * 8


def _read_global_heap(source: Source, address: int, most: int) -> tuple[dict[int, bytes], int]:
    """Return the objects by number of a global heap of at most so many bytes, and its size."""
    magic, version, size = struct.unpack("<4sB3xQ", source.read(address, 16))
    if magic != b"GCOL" or version != 1 or not 16 <= size <= most:
        raise Hdf5Error("its texts are damaged")
    block, objects, at = source.read(address, size), dict[int, bytes](), 16
    while at + 16 <= size:
        index, length = unpack("<H6xQ", block[at : at + 16])
        if index == 0:  # the free rest
            if any(block[at + 16 :]):
                raise Hdf5Error("its texts are damaged")
            break
        at += 16
        if at + length > size or index in objects:
            raise Hdf5Error("its texts are damaged")
        objects[index] = block[at : at + length]
        at += _padded(length)
    return objects, size
