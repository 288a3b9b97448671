"""Where a stream of compressed sound ends: ogg, flac and mp3 without a length in their header.

The decoder, libsndfile, reads the first of several streams alone, and reports no others.
"""

from __future__ import annotations

import re
from typing import BinaryIO

BLOCK_BYTES = 1 << 20
FLAC_STARTS = (b"fLaC\0\0\0\x22", b"fLaC\x80\0\0\x22")
FLAC_TAIL_BYTES = 1 << 17
FLAC_BITS = (0, 8, 12, -1, 16, 20, 24, 32)  # of a sample, by their code; 0 is that of the file
# The first frame of a VBR or LAME file holds the number of its bytes instead of sound.
XING = re.compile(rb"\xff[\xe2-\xff].{2}(?:.{9}|.{17}|.{32})(?:Xing|Info)", re.DOTALL)
XING_FRAMES, XING_BYTES = 1, 2
ID3V1_BYTES = 128


def walk_ogg(file: BinaryIO, size: int) -> tuple[int, bool]:
    """Return the position after the last page of the first Ogg stream, and whether it is whole.

    Several streams that begin together are one. A stream need not have an end mark.
    """
    position, is_beginning = 0, True
    while position < size:
        file.seek(position)
        header = file.read(27 + 255)
        if header[:5] != b"OggS\0"[: len(header)]:
            return position, True
        if len(header) < 27:
            return size, False
        begins = bool(header[5] & 2)
        if begins and not is_beginning:
            return position, True
        is_beginning = begins
        segments = header[27 : 27 + header[26]]
        position += 27 + header[26] + sum(segments)
        if position > size or len(segments) < header[26]:
            return size, False
    return size, True


def find_second_flac(file: BinaryIO, size: int, begin: int = 0) -> int:
    """Return the position of a second flac file in a file, or ``size``; the first is at begin."""
    file.seek(begin + 4)
    position, tail = begin + 4, b""
    while block := file.read(BLOCK_BYTES):
        window = tail + block
        if b"fLaC" in window:
            found = [at for start in FLAC_STARTS if (at := window.find(start)) >= 0]
            if found:
                return position - len(tail) + min(found)
        position += len(block)
        tail = block[-7:]
    return size


def end_of_tag(file: BinaryIO) -> int:
    """Return the position after an ID3 tag at the begin of a file, 0 if there is none."""
    file.seek(0)
    head = file.read(10)
    if head[:3] != b"ID3":
        return 0
    return 10 + sum(byte << 7 * (3 - index) for index, byte in enumerate(head[6:10]))


def find_end_of_mp3(file: BinaryIO, size: int) -> int:
    """Return the position after an mp3 file by its first frame, or ``size`` if that is unknown.

    Tags may follow. What does not begin like a frame or a file is taken as one.
    """
    start = end_of_tag(file)
    file.seek(start)
    frame = file.read(1024)
    found = XING.match(frame)
    if not found:
        return size
    place = found.end()
    flags = int.from_bytes(frame[place : place + 4], "big")
    place += 4 + 4 * (flags & XING_FRAMES)
    length = int.from_bytes(frame[place : place + 4], "big")
    if not flags & XING_BYTES or not length:
        return size
    file.seek(start + length)
    rest = file.read(ID3V1_BYTES + 3)
    rest = rest[ID3V1_BYTES:] if rest[:3] == b"TAG" else rest[:3]
    follows = rest == b"ID3" or (len(rest) == 3 and rest[0] == 0xFF and rest[1] >= 0xE2)
    return start + length if follows else size


def patch_flac(file: BinaryIO, size: int) -> dict[int, bytes]:
    """Return the bytes that give a flac file its number of samples, by position.

    Empty if the file has the number. A pipe cannot write it, and libsndfile reads no flac file
    without it.
    """
    announced, n_samples = measure_flac(file, size)
    if announced or not n_samples:
        return {}
    file.seek(21)
    kept = int.from_bytes(file.read(5), "big")
    return {21: (kept | n_samples).to_bytes(5, "big")}


def measure_flac(file: BinaryIO, size: int, begin: int = 0) -> tuple[int, int]:
    """Return how many samples the header of a flac file gives, and how many its last frame.

    Each is 0 if it is not known. The file begins at ``begin``, after a tag, and ends at ``size``.
    """
    file.seek(begin)
    head = file.read(42)
    if len(head) < 42 or head[4] & 0x7F:
        return 0, 0
    file.seek(first := max(begin + 42, size - FLAC_TAIL_BYTES))
    tail = file.read(max(0, size - first))
    return int.from_bytes(head[21:26], "big") & 0xF_FFFF_FFFF, _samples_before_end(tail, head)


def _samples_before_end(tail: bytes, head: bytes) -> int:
    """Return the number of samples up to the end of the last flac frame that begins in ``tail``."""
    end, fixed_size = len(tail), int.from_bytes(head[10:12], "big")
    while (end := tail.rfind(b"\xff", 0, end)) >= 0:
        if tail[end + 1 : end + 2] in (b"\xf8", b"\xf9") and _has_format(
            tail[end + 3 : end + 4], head
        ):
            n_samples = _end_of_frame(tail[end : end + 16], fixed_size)
            if n_samples:
                return n_samples
    return 0


def _has_format(fourth: bytes, head: bytes) -> bool:
    """Return whether a flac frame has the channels and bits of its file; sound can look like one.

    Args:
        fourth: The fourth byte of the frame; empty at the end of the file.
        head: The first bytes of the file.
    """
    channels, bits = 1 + (head[20] >> 1 & 7), 1 + ((head[20] & 1) << 4 | head[21] >> 4)
    code = fourth[0] if fourth else 1
    n_channels = 1 + (code >> 4) if code >> 4 < 8 else 2
    return n_channels == channels and not code & 1 and FLAC_BITS[code >> 1 & 7] in (0, bits)


def _end_of_frame(header: bytes, fixed_size: int) -> int:
    """Return the number of the sample after a flac frame; 0 if these bytes are no frame's header.

    Source: RFC 9639, section 9.1.
    """
    header = header.ljust(16, b"\0")
    block_code, rate_code = header[2] >> 4, header[2] & 0x0F
    number, place = _coded_number(header, 4)
    if block_code == 6:
        block, place = header[place] + 1, place + 1
    elif block_code == 7:
        block, place = int.from_bytes(header[place : place + 2], "big") + 1, place + 2
    else:
        block = (0, 192, 576, 1152, 2304, 4608, 0, 0, *(256 << n for n in range(8)))[block_code]
    place += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if number < 0 or not block or _crc8(header[:place]) != header[place]:
        return 0
    has_sample_number = header[1] & 1
    return (number if has_sample_number else number * fixed_size) + block


def _coded_number(content: bytes, place: int) -> tuple[int, int]:
    """Return a number that is coded like a letter of UTF-8, or -1, and the position after it."""
    first = content[place]
    n_bytes = 8 - (first ^ 0xFF).bit_length()  # the ones at its begin
    if n_bytes in (1, 8):
        return -1, place
    number = first & (0x7F >> n_bytes)
    rest = content[place + 1 : place + n_bytes]
    for byte in rest:
        number = number << 6 | byte & 0x3F
    is_coded = all(byte & 0xC0 == 0x80 for byte in rest)
    return number if is_coded else -1, place + max(1, n_bytes)


def _crc8(content: bytes) -> int:
    """Return the checksum of a frame's header: the polynomial x^8 + x^2 + x + 1."""
    crc = 0
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07 if crc & 0x80 else crc << 1) & 0xFF
    return crc
