"""Walk over the chunks of an audio file (wav, aiff, caf): each is a name, a length, and bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

from frami.core.errors import OperationError

# A file of so many is not audio, but an attempt to keep the reader busy.
MAX_CHUNKS = 100_000
CHUNK_NAME = re.compile(rb"[ -~]{4}")


@dataclass(frozen=True)
class Format:
    """How a format writes its chunks: a name, a length, and that many bytes."""

    first: int
    order: Literal["little", "big"]
    sound: tuple[bytes, ...] = (b"data",)
    name_bytes: int = 4
    length_bytes: int = 4
    own_bytes: int = 0  # bytes of name and length that the length includes
    alignment: int = 2


FORMATS = {
    b"RIFF": Format(12, "little"),
    b"RIFX": Format(12, "big"),
    b"RF64": Format(12, "little"),
    b"FORM": Format(12, "big", (b"SSND", b"BODY")),
    b"riff": Format(40, "little", name_bytes=16, length_bytes=8, own_bytes=24, alignment=8),
    b"caff": Format(8, "big", length_bytes=8, alignment=1),
}


@dataclass(frozen=True)
class Chunk:
    """The name of a chunk, and where it is."""

    name: bytes
    field: int  # position of its length
    start: int
    length: int


def walk(
    file: BinaryIO, format_: Format, position: int, size: int, padding: int = 0
) -> Iterator[Chunk]:
    """Yield the chunks from a position on, up to the end or to bytes that are no chunk.

    Raises:
        OperationError: There are `MAX_CHUNKS` chunks.
    """
    for _ in range(MAX_CHUNKS):
        # Some programs do not write the padding before a chunk.
        candidates = dict.fromkeys((position + padding, position))
        found = (_read(file, format_, at) for at in candidates if at < size)
        chunk = next(filter(None, found), None)
        if chunk is None:
            return
        yield chunk
        position = chunk.start + max(0, chunk.length)
        padding = -chunk.length % format_.alignment
    raise OperationError(
        f"{file.name} has {MAX_CHUNKS:,} parts or more, which no recording has: export it again."
    )


def _read(file: BinaryIO, format_: Format, position: int) -> Chunk | None:
    """Return the chunk at a position, or None if there is none."""
    file.seek(position)
    header = file.read(format_.name_bytes + format_.length_bytes)
    name, number = header[: format_.name_bytes], header[format_.name_bytes :]
    if len(number) < format_.length_bytes or not CHUNK_NAME.match(name) or name[:4] in FORMATS:
        return None
    length = int.from_bytes(number, format_.order) - format_.own_bytes
    return Chunk(name, position + len(name), position + len(header), length)


def end_of_chunks(file: BinaryIO, format_: Format, sound: Chunk, size: int) -> int:
    """Return where the chunks after the sound end."""
    padding = -sound.length % format_.alignment
    end = sound.start + sound.length
    for chunk in walk(file, format_, end, size, padding):
        if chunk.start + chunk.length > size:
            break
        end = chunk.start + max(0, chunk.length)
        padding = -chunk.length % format_.alignment
    return min(size, end + padding)
