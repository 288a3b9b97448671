"""How many bytes of sound a file announces, and how many it has: wav, aiff, au, caf and others.

The decoder, libsndfile, reads what is there and reports no difference. It also refuses some files,
or reads nothing of them, whose program could not go back to write the length into the header.
`frami.audio.streams` does the same for files without such a length: ogg, flac and mp3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import BinaryIO, Literal

from frami.audio import aiff
from frami.audio.chunks import FORMATS, MAX_CHUNKS, Chunk, Format, end_of_chunks, walk

# A recorder or a pipe that cannot go back to write a length leaves 0, or about the largest number
# of a type: ffmpeg 0xFFFFFFFF, arecord 0x80000000, sox 0x7FFFF000 (wav) and 0x7F000008 (aiff).
UNKNOWN_LENGTHS = (0x7F000000, 0x7FFFF000, 0x80000000, 0xFFFFFFFF)
UNKNOWN_LONG_LENGTH = 1 << 62
AU_HEADER_BYTES = 24  # or more, with a text; sound cannot begin within them
HEADER_BYTES = 1 << 16  # a length may include the header, or lack it


@dataclass(frozen=True)
class Layout:
    """Where the sound of a file is.

    Attributes:
        start: Position of its first byte.
        announced: Number of its bytes by the header; None if the header does not give it.
        present: Number of its bytes in the file.
        end: Position after the last part that belongs to the file's format.
        patches: Bytes to write over the header, by position, so that it gives the right length.
    """

    start: int
    announced: int | None
    present: int
    end: int
    patches: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def is_cut_off(self) -> bool:
        """Whether bytes of sound are missing; some programs do not write a padding byte."""
        return self.announced is not None and self.announced > self.present + 1


# RIFF is the format of other files as well, such as videos.
SUBTYPES = {b"RIFF": b"WAVE", b"RIFX": b"WAVE", b"RF64": b"WAVE"}
# The headers of au, and the order of their bytes.
AU_ORDERS: Mapping[bytes, Literal["little", "big"]] = {b".snd": "big", b"dns.": "little"}
MAGIC = (
    *FORMATS,
    *AU_ORDERS,
    b"Crea",
    b"NIST",
    b"OggS",
    b"fLaC",
    b"ID3\x02",
    b"ID3\x03",
    b"ID3\x04",
)


def find_sound(file: BinaryIO, size: int, begin: int = 0) -> Layout | None:
    """Return the layout of an open file of ``size`` bytes; None if its format is another one.

    Args:
        file: The file.
        size: Number of its bytes.
        begin: Position of its header, after a tag.
    """
    file.seek(begin)
    head = file.read(1024)
    magic = head[:4]
    if magic in FORMATS and SUBTYPES.get(magic, head[8:12]) == head[8:12]:
        format_ = replace(FORMATS[magic], first=begin + FORMATS[magic].first)
        layout = _find_chunk(file, format_, size, is_long=magic == b"RF64")
        if layout and magic == b"FORM":
            return _without_offset(file, format_, layout, size)
        return layout
    if begin:
        return None
    if magic in AU_ORDERS:
        return _find_au(head, size, AU_ORDERS[magic])
    if magic == b"NIST":
        return _find_nist(head, size)
    if head.startswith(b"Creative Voice File"):
        return _find_voc(file, head, size)
    return None


def _find_chunk(file: BinaryIO, format_: Format, size: int, is_long: bool) -> Layout | None:
    """Return the layout of a file that consists of chunks."""
    long_sizes = None
    for chunk in walk(file, format_, format_.first, size):
        if is_long and chunk.name == b"ds64":
            long_sizes = chunk.start + 8
        elif chunk.name[:4] in format_.sound:
            return _measure(file, format_, chunk, size, long_sizes)
    return None


def _measure(
    file: BinaryIO, format_: Format, sound: Chunk, size: int, long_sizes: int | None
) -> Layout:
    position, length_bytes, length = sound.field, format_.length_bytes, sound.length
    if long_sizes is not None and length == 0xFFFFFFFF:
        file.seek(long_sizes)
        position, length_bytes = long_sizes, 8
        length = int.from_bytes(file.read(8), "little")
    present = size - sound.start
    is_empty = length == 0 and _holds_chunks(file, format_, sound, size)
    if _is_unknown(length, present) and not is_empty:
        number = min(present + format_.own_bytes, (1 << 8 * length_bytes) - 1)
        patch = number.to_bytes(length_bytes, format_.order)
        return Layout(sound.start, None, present, size, {position: patch})
    end = size
    if length < present:
        end = end_of_chunks(file, format_, replace(sound, length=length), size)
    return Layout(sound.start, length, min(present, length), end)


def _without_offset(file: BinaryIO, format_: Format, layout: Layout, size: int) -> Layout:
    """Return the layout of an AIFF file, with what its header announces if sound is skipped."""
    skipped = 0 if layout.is_cut_off else aiff.skipped_bytes(file, layout.start)
    announced = aiff.announced_bytes(file, format_, size) if skipped else None
    if announced is None:
        return layout
    present = layout.present - aiff.SSND_HEADER_BYTES - skipped
    return replace(layout, announced=announced, present=present)


def _is_unknown(length: int, present: int) -> bool:
    """Return whether a length was not written; a file of gigabytes may have the length."""
    if length <= 0 or length >= UNKNOWN_LONG_LENGTH:
        return True
    return length > present and any(abs(length - n) < HEADER_BYTES for n in UNKNOWN_LENGTHS)


def _holds_chunks(file: BinaryIO, format_: Format, sound: Chunk, size: int) -> bool:
    """Return whether other chunks, or nothing, follow a chunk of length 0: it is empty indeed."""
    return end_of_chunks(file, format_, replace(sound, length=0), size) == size


def _find_au(head: bytes, size: int, order: Literal["little", "big"]) -> Layout:
    start, length = (int.from_bytes(head[at : at + 4], order) for at in (4, 8))
    present = max(0, size - start)
    if _is_unknown(length, present) and start >= AU_HEADER_BYTES:
        return Layout(start, None, present, size, {8: min(present, 0xFFFFFFFF).to_bytes(4, order)})
    return Layout(start, length, min(present, length), min(size, start + length))


def _find_nist(head: bytes, size: int) -> Layout | None:
    """Return the layout of a NIST SPHERE file: its header is text, with the number of samples.

    libsndfile writes the number of bytes as text for some codecs.
    """
    start = re.match(rb"NIST_1A\s+(\d+)", head)
    numbers = [
        re.search(rb"\b%s -(?:i|s\d+) (\d+)" % name, head)
        for name in (b"sample_count", b"channel_count", b"sample_n_bytes")
    ]
    if start is None or None in numbers or b"embedded" in head:
        return None
    first, length = int(start[1]), 1
    for number in numbers:
        length *= int(number[1]) if number else 1
    return Layout(first, length, min(length, max(0, size - first)), min(size, first + length))


def _find_voc(file: BinaryIO, head: bytes, size: int) -> Layout:
    """Return the layout of a voc file: blocks with a type and a length, up to type 0."""
    start = position = int.from_bytes(head[20:22], "little")
    for _ in range(MAX_CHUNKS):
        if position >= size:
            break
        file.seek(position)
        header = file.read(4)
        if header[0] == 0:
            return Layout(start, position - start, position - start, position + 1)
        position += 4 + int.from_bytes(header[1:], "little")
    return Layout(start, position - start, size - start, size)
