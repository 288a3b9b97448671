"""Change a file at random, as damage or an attacker would; equal numbers give equal changes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from random import Random
from typing import Any

MOST_CHANGES = 8
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
VALUES: tuple[Any, ...] = (
    *(None, True, 0, 1, -1, 2, 0.5, 1e308, 1e400, float("nan"), 2**31, 2**63, 10**400),
    *("", "a", "\x1b[2J", "../../x", "\ud800", "a" * 5000, [], {}, [[]], [1], {"": 1}, ["a"] * 3),
)


def mutate(content: bytes, rng: Random) -> bytes:
    """Return a changed copy of a file."""
    if rng.random() < 0.5 and (changed := _mutate_json(content, rng)) is not None:
        return changed
    data = bytearray(content)
    for _ in range(min(MOST_CHANGES, 1 + int(rng.expovariate(0.7)))):
        rng.choice(CHANGES)(data, rng)
    return bytes(data)


def _place(data: bytearray, rng: Random) -> int:
    """Return a place; every second one is near the start, where the headers are."""
    size = max(len(data), 1)
    return rng.randrange(min(size, 4096) if rng.random() < 0.5 else size)


def _flip(data: bytearray, rng: Random) -> None:
    for _ in range(rng.choice((1, 1, 1, 4, 16))):
        if data:
            data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _overwrite(data: bytearray, rng: Random) -> None:
    at, size = _place(data, rng), rng.choice((1, 2, 4, 8))
    value = rng.choice(NUMBERS) % 256**size
    data[at : at + size] = value.to_bytes(size, rng.choice(("little", "big")))


def _insert(data: bytearray, rng: Random) -> None:
    at = _place(data, rng)
    data[at:at] = rng.randbytes(rng.choice((1, 2, 8, 64, 1000)))


def _delete(data: bytearray, rng: Random) -> None:
    at = _place(data, rng)
    del data[at : at + rng.choice((1, 2, 8, 64, 1000))]


def _cut(data: bytearray, rng: Random) -> None:
    del data[_place(data, rng) :]


def _copy(data: bytearray, rng: Random) -> None:
    """Copy a part of the file over another part, or between two others."""
    size = rng.choice((4, 8, 16, 64, 512))
    start, at = _place(data, rng), _place(data, rng)
    part = data[start : start + size]
    data[at : at + (size if rng.random() < 0.5 else 0)] = part


def _swap(data: bytearray, rng: Random) -> None:
    size = rng.choice((4, 8, 64))
    one, two = _place(data, rng), _place(data, rng)
    first, second = bytes(data[one : one + size]), bytes(data[two : two + size])
    data[one : one + size], data[two : two + size] = second, first


CHANGES: tuple[Callable[[bytearray, Random], None], ...] = (
    *(_flip, _flip, _overwrite, _overwrite, _insert, _delete, _cut, _copy, _swap),
)


def _mutate_json(content: bytes, rng: Random) -> bytes | None:
    """Return JSON with other values, or None if the file is not JSON that can be read."""
    if content[:1] not in b"{[" or len(content) > 1 << 20:
        return None
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError):
        return None
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        places = list(_walk(tree))
        if not places:
            break
        parent, key = rng.choice(places)
        if rng.random() < 0.2:
            del parent[key]
        elif rng.random() < 0.3:
            parent[key] = [parent[key]] if rng.random() < 0.5 else {"a": parent[key]}
        elif isinstance(parent[key], int | float) and rng.random() < 0.5:
            parent[key] = rng.choice((-parent[key], parent[key] * 1000, parent[key] + 1, 0.5))
        elif isinstance(parent[key], str) and parent[key][:1] in ("{", "[") and rng.random() < 0.7:
            inner = _mutate_json(parent[key].encode(), rng)
            parent[key] = parent[key] if inner is None else inner.decode(errors="replace")
        else:
            parent[key] = copy.deepcopy(rng.choice(VALUES))
    if rng.random() < 0.01:
        return b"[" * 100_000
    return json.dumps(tree).encode()


def _walk(tree: Any) -> Any:
    """Yield the container and the key of every value."""
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree))
    for key in list(keys):
        yield tree, key
        if isinstance(tree[key], dict | list):
            yield from _walk(tree[key])
