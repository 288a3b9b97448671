"""Read the members of an HDF5 group: a list of names, and the addresses of the columns."""

from __future__ import annotations

import struct

from frami.data.hdf5 import (
    MAX_BLOCK_BYTES,
    MAX_ENTRIES,
    UNDEFINED,
    Group,
    Hdf5Error,
    Source,
    unpack,
)


def read_members(source: Source, group: Group) -> dict[str, int]:
    """Return the address of the object header of each member of a group, by name.

    A soft link, which has no such address, is refused.
    """
    names = _read_names(source, group.heap)
    members: dict[str, int] = {}
    node = source.read(group.tree, 544)
    magic, kind, level, used, *siblings = unpack("<4sBBHQQ", node)
    is_known = (magic, kind, level, *siblings) == (b"TREE", 0, 0, UNDEFINED, UNDEFINED)
    if not is_known or used > 32 or any(node[32 + 16 * used :]):
        raise Hdf5Error("its list of columns is damaged")
    entries = struct.unpack_from(f"<{2 * used}Q", node, 24)
    for child in entries[1::2]:
        members |= _read_symbols(source, child, names, members)
    return members


def _read_names(source: Source, address: int) -> bytes:
    """Return the texts of a local heap."""
    magic, version, size, free, start = struct.unpack("<4sB3xQQQ", source.read(address, 32))
    if magic != b"HEAP" or version or size > MAX_BLOCK_BYTES:
        raise Hdf5Error("its list of names is damaged")
    texts = source.read(start, size)
    for _ in range(MAX_ENTRIES):  # the list of free places, which the HDF5 library follows
        if free == 1:
            return texts
        free, length = unpack("<QQ", texts[free:])
        if not 16 <= length <= size:
            break
    raise Hdf5Error("its list of names is damaged")


def _read_symbols(
    source: Source, address: int, names: bytes, known: dict[str, int]
) -> dict[str, int]:
    node = source.read(address, 328)
    magic, version, count = unpack("<4sBxH", node)
    if magic != b"SNOD" or version != 1 or count > 8 or any(node[8 + 40 * count :]):
        raise Hdf5Error("its list of columns is damaged")
    members: dict[str, int] = {}
    for number in range(count):
        place, header, kind = struct.unpack_from("<QQI", node, 8 + 40 * number)
        name = names[place:].partition(b"\0")[0].decode()
        if kind != 0 or name in known or name in members:
            raise Hdf5Error(f"its column {name!r} is a link, or is there twice")
        members[name] = header
    if len(known) + len(members) > MAX_ENTRIES:
        raise Hdf5Error("it has too many columns")
    return members
