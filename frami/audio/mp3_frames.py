"""The frames of an mp3 file, by their headers: how many samples it holds."""

from __future__ import annotations

from typing import BinaryIO

from frami.audio.streams import end_of_tag

# kbit/s by code, for each layer from 1 to 3, of MPEG 1 and of MPEG 2.
BITRATES = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = (44100, 48000, 32000)  # Hz, of MPEG 1
# Samples that a decoder may leave out: two padded ends of at most 12 bits, and two frames.
MOST_HIDDEN = 2 * 4095 + 2 * 1152


def count_samples(file: BinaryIO) -> int:
    """Return the samples of all frames from the first one on, up to bytes that are not a frame."""
    position, total = end_of_tag(file), 0
    while True:
        file.seek(position)
        n_bytes, n_samples = _read_header(file.read(4))
        if not n_bytes:
            return total
        position += n_bytes
        total += n_samples


def _read_header(header: bytes) -> tuple[int, int]:
    """Return the numbers of bytes and samples of a frame; (0, 0) if these bytes are no header."""
    if len(header) < 4 or header[0] != 0xFF or header[1] < 0xE0:
        return 0, 0
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    code, rate_code = header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer == 4 or code in (0, 15) or rate_code == 3:
        return 0, 0
    generation = 1 if version == 3 else 2
    rate = RATES[rate_code] // {3: 1, 2: 2, 0: 4}[version]
    bits, padding = 1000 * BITRATES[generation, layer][code - 1], header[2] >> 1 & 1
    if layer == 1:
        return (12 * bits // rate + padding) * 4, 384
    n_samples = 576 if layer == 3 and generation == 2 else 1152
    return n_samples // 8 * bits // rate + padding, n_samples
