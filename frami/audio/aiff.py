"""The offset in an AIFF file: how many bytes of its sound chunk are skipped before the sound.

The decoder skips them, whatever they are. They are sound if the header announces more than the rest
of the chunk: a wrong offset, or one that the length of the chunk does not count.
"""

from __future__ import annotations

from typing import BinaryIO

from frami.audio.chunks import Format, walk

SSND_HEADER_BYTES = 8  # the offset and a block size
COMMON_FIELDS = ((0, 2), (2, 6), (6, 8))  # channels, frames, and bits of a sample
# Bytes of a packet of one channel, and the frames that the header counts for it.
PACKETS = {
    b"ima4": (34, 1),
    b"GSM ": (33, 160),
    b"agsm": (33, 160),
    b"ulaw": (1, 1),
    b"ULAW": (1, 1),
    b"alaw": (1, 1),
    b"ALAW": (1, 1),
}


def skipped_bytes(file: BinaryIO, start: int) -> int:
    """Return the offset in the chunk SSND whose content is at ``start``; 0 in other chunks."""
    file.seek(start - 8)
    header = file.read(12)
    return int.from_bytes(header[8:], "big") if header.startswith(b"SSND") else 0


def announced_bytes(file: BinaryIO, format_: Format, size: int) -> int | None:
    """Return how many bytes of sound the chunk COMM announces; None without that chunk."""
    common = next((c for c in walk(file, format_, format_.first, size) if c.name == b"COMM"), None)
    if common is None:
        return None
    file.seek(common.start)
    content = file.read(22)
    channels, frames, bits = (int.from_bytes(content[a:b], "big") for a, b in COMMON_FIELDS)
    packet, per = PACKETS.get(content[18:22], (-(-bits // 8), 1))
    return -(-frames // per) * packet * channels
