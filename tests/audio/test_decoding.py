"""A file is read whole, or refused in a sentence: containers, lengths, bytes left."""

from __future__ import annotations

import errno
import io
import itertools
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from frami.audio.blocks import read_blocks
from frami.audio.io import read_audio
from frami.core.errors import OperationError
from tests.audio.helpers import RATE

TIME = np.arange(RATE) / RATE
SOUND = 0.4 * np.sin(2 * np.pi * 440 * TIME) * np.hanning(RATE) + 0.2 * np.sin(TIME * 7728)
PCM = (SOUND * 32767).round().astype("<i2").tobytes()
READERS: list[Callable[[Path, int], torch.Tensor]] = [
    read_audio,
    lambda path, rate: torch.cat(list(read_blocks(path, rate, seconds=0.3))),
]


def encode(container: str, subtype: str | None = "PCM_16") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, SOUND, RATE, format=container, subtype=subtype)
    return buffer.getvalue()


def riff(data: bytes, riff_length: int | None = None, length: int | None = None) -> bytes:
    form = struct.pack("<IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    announced = struct.pack("<I", len(data) if length is None else length)
    body = b"WAVEfmt " + form + b"data" + announced + data
    return b"RIFF" + struct.pack("<I", len(body) if riff_length is None else riff_length) + body


def patch(content: bytes, position: int, number: bytes) -> bytes:
    return content[:position] + number + content[position + len(number) :]


@pytest.fixture(params=READERS, ids=["whole", "blocks"])
def read(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[bytes], torch.Tensor]:
    """Return a function that reads the content of a file."""

    def read_content(content: bytes) -> torch.Tensor:
        (tmp_path / "a.wav").write_bytes(content)
        waveform: torch.Tensor = request.param(tmp_path / "a.wav", RATE)
        return waveform

    return read_content


def assert_whole(waveform: torch.Tensor, tolerance: float = 1e-3) -> None:
    assert len(waveform) == RATE
    np.testing.assert_allclose(waveform, SOUND, atol=tolerance)


@pytest.mark.parametrize(
    "container", ["WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "VOC", "NIST", "SVX"]
)
def test_half_a_file_is_refused_and_a_whole_one_is_read(
    container: str, read: Callable[[bytes], torch.Tensor]
) -> None:
    whole = encode(container)
    assert_whole(read(whole))
    with pytest.raises(OperationError, match="is cut off"):
        read(whole[: len(whole) // 2])


def test_half_an_au_file_in_the_other_byte_order_is_refused(
    read: Callable[[bytes], torch.Tensor],
) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, SOUND, RATE, format="AU", subtype="PCM_16", endian="LITTLE")
    whole = buffer.getvalue()
    for content in (whole, patch(whole, 8, b"\xff" * 4)):  # the second of a pipe
        assert_whole(read(content))
    with pytest.raises(OperationError, match="is cut off"):
        read(whole[: len(whole) // 2])
    with pytest.raises(OperationError, match="another recording"):
        read(whole + whole)


def test_a_header_that_does_not_tell_its_end_is_refused(
    read: Callable[[bytes], torch.Tensor],
) -> None:
    with pytest.raises(OperationError, match="NIST, which does not tell where its sound ends"):
        read(encode("NIST").replace(b"sample_n_bytes -i 2", b"sample_n_bytes -r 2"))


@pytest.mark.parametrize("container", ["WAV", "AIFF", "FLAC"])
def test_a_recording_after_a_tag_is_checked_like_others(
    container: str, read: Callable[[bytes], torch.Tensor]
) -> None:
    whole = encode(container)
    tagged = b"ID3\x03\0\0\0\0\0\x10" + bytes(16) + whole
    assert_whole(read(tagged))
    with pytest.raises(OperationError, match="is cut off"):
        read(tagged[: len(tagged) // 2])
    with pytest.raises(OperationError, match="another recording"):
        read(tagged + whole)


@pytest.mark.parametrize("container", ["IRCAM", "PVF", "MAT5", "AVR", "PAF", "MPC2K"])
def test_a_format_that_does_not_tell_its_end_is_refused(
    container: str, read: Callable[[bytes], torch.Tensor]
) -> None:
    with pytest.raises(OperationError, match=f"format {container}.*convert it to wav"):
        read(encode(container))


N = len(PCM)


@pytest.mark.parametrize(
    "riff_length, length",
    [
        (0xFFFFFFFF, 0xFFFFFFFF),  # ffmpeg
        (0x7FFFF024, 0x7FFFF000),  # sox
        (0x80000024, 0x80000000),  # arecord
        (0, 0),
        (36 + N, 0),
        (36 + N + 8, N),  # the sound is there, whatever the length of the file
        (0, N),
    ],
)
def test_a_wav_whose_length_was_not_written_is_read_whole(
    riff_length: int, length: int, read: Callable[[bytes], torch.Tensor]
) -> None:
    assert_whole(read(riff(PCM, riff_length, length)))


@pytest.mark.parametrize("length", [N + 44, 2_000_000_000, 3_000_000_000])
def test_a_wav_that_announces_more_is_cut_off_or_has_a_wrong_header(
    length: int, read: Callable[[bytes], torch.Tensor]
) -> None:
    with pytest.raises(OperationError, match=r"or its header is wrong.*16,000 are there") as caught:
        read(riff(PCM, length + 36, length))
    assert "sox --ignore-length" in str(caught.value)


def test_an_empty_wav_with_other_chunks_is_empty(read: Callable[[bytes], torch.Tensor]) -> None:
    note = b"LIST" + struct.pack("<I", 400) + b"INFO" + bytes(396)
    with pytest.raises(OperationError, match="lasts 0 ms"):
        read(riff(b"", 36 + len(note)) + note)


PIPED = {
    "AU": lambda whole: patch(whole, 8, bytes(4)),
    "AU, all ones": lambda whole: patch(whole, 8, b"\xff" * 4),
    "RF64": lambda whole: patch(whole, whole.find(b"ds64") + 8, bytes(24)),
    "W64": lambda whole: patch(whole, whole.find(b"data\xf3") + 16, b"\xff" * 7 + b"\x7f"),
    "CAF": lambda whole: patch(whole, whole.find(b"data\0") + 4, b"\xff" * 8),
    "AIFF": lambda whole: patch(whole, whole.find(b"SSND") + 4, b"\x7f\0\0\x08"),
}


@pytest.mark.parametrize("container", PIPED)
def test_a_piped_file_is_read_whole(container: str, read: Callable[[bytes], torch.Tensor]) -> None:
    assert_whole(read(PIPED[container](encode(container.split(",")[0]))))


@pytest.mark.parametrize(
    "container, subtype, n_samples, tolerance",
    [
        ("WAV", "ULAW", RATE, 0.03),
        ("WAV", "ALAW", RATE, 0.03),
        ("WAV", "GSM610", 8320, None),
        ("WAV", "IMA_ADPCM", 8080, None),
        ("WAV", "MS_ADPCM", RATE, None),
        ("WAV", "G721_32", 8040, None),
        ("AIFF", "GSM610", RATE, None),
        ("AU", "ULAW", RATE, 0.03),
        ("NIST", "ULAW", RATE, 0.03),
        ("NIST", "ALAW", RATE, 0.03),
    ],
)
def test_telephone_codecs_are_read_whole(
    container: str,
    subtype: str,
    n_samples: int,
    tolerance: float | None,
    read: Callable[[bytes], torch.Tensor],
) -> None:
    whole = encode(container, subtype)
    waveform = read(whole)
    assert len(waveform) == n_samples  # a codec fills its last block
    assert np.corrcoef(waveform[:RATE], SOUND)[0, 1] > 0.9
    if tolerance:
        assert_whole(waveform, tolerance)
    with pytest.raises(OperationError, match="is cut off"):
        read(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    "container", ["OGG", "OPUS", "FLAC", "MP3", "WAV", "AIFF", "AU", "CAF", "W64"]
)
def test_two_recordings_in_one_file_are_refused(
    container: str, read: Callable[[bytes], torch.Tensor]
) -> None:
    once = encode("OGG", "OPUS") if container == "OPUS" else encode(container, None)
    assert len(read(once)) == RATE
    with pytest.raises(OperationError, match=rf"another recording .*byte {len(once):,}\)"):
        read(once + once)


AIFF_CODECS = ["PCM_16", "PCM_24", "FLOAT", "ULAW", "ALAW", "IMA_ADPCM", "GSM610"]


@pytest.mark.parametrize("subtype", AIFF_CODECS)
def test_aiff_with_an_offset_that_skips_sound_is_refused(
    subtype: str, read: Callable[[bytes], torch.Tensor]
) -> None:
    whole = encode("AIFF", subtype)
    at = whole.find(b"SSND") + 4  # its length, its offset and a block size of 4 bytes each
    length = int.from_bytes(whole[at : at + 4], "big")
    padded = patch(whole, at + 4, (64).to_bytes(4, "big"))
    padded = padded[: at + 12] + bytes(64) + padded[at + 12 :]
    right = patch(padded, at, (length + 64).to_bytes(4, "big"))
    assert torch.equal(read(right), read(whole))
    for skips in (padded, patch(whole, at + 4, (640).to_bytes(4, "big"))):
        with pytest.raises(OperationError, match="is cut off, or its header is wrong"):
            read(skips)
    with pytest.raises(OperationError, match="is cut off"):
        read(right[: len(right) // 2])


@pytest.mark.parametrize("name", [b"data", b"LIST"])
def test_file_of_a_million_empty_chunks_is_refused(
    name: bytes, read: Callable[[bytes], torch.Tensor]
) -> None:
    content = riff(PCM, 36, 0).partition(b"data")[0] + (name + bytes(4)) * 1_000_000
    with pytest.raises(OperationError, match="has 100,000 parts or more"):
        read(content)


def test_two_mp3_with_a_tag_between_them_are_refused(
    read: Callable[[bytes], torch.Tensor],
) -> None:
    once = encode("MP3", None)
    with pytest.raises(OperationError, match="holds"):
        read(once + b"TAG" + bytes(125) + once)
    assert len(read(once + b"TAG" + bytes(125))) == RATE


def test_a_header_that_counts_half_of_the_sound_is_refused(
    read: Callable[[bytes], torch.Tensor],
) -> None:
    with pytest.raises(OperationError, match="8,000 bytes that its header does not count"):
        read(riff(PCM, 36 + N // 2, N // 2))


@pytest.mark.parametrize("trailer", [b"TAG" + bytes(125), bytes(4096), b"LIST\x04\0\0\0INFO"])
def test_a_tag_or_padding_after_the_sound_is_ignored(
    trailer: bytes, read: Callable[[bytes], torch.Tensor]
) -> None:
    for container in ("WAV", "FLAC", "AU"):
        assert_whole(read(encode(container) + trailer))


def test_a_chunk_after_an_odd_length_without_padding_is_no_sound(
    read: Callable[[bytes], torch.Tensor],
) -> None:
    note = b"LIST" + struct.pack("<I", 4001) + b"INFO" + b"x" * 3997
    odd = riff(PCM + b"\0") + note
    assert_whole(read(odd + note))
    assert_whole(read(odd + b"\0" + note))


def test_ogg_without_an_end_mark_is_read(read: Callable[[bytes], torch.Tensor]) -> None:
    whole = encode("OGG", None)
    last = whole.rfind(b"OggS")
    page = bytearray(whole[last:])
    page[5] &= ~4
    page[22:26] = bytes(4)
    page[22:26] = ogg_crc(page).to_bytes(4, "little")
    waveform = read(whole[:last] + page)
    assert len(waveform) == RATE  # without a mark, the decoder does not fade the last block in
    torch.testing.assert_close(waveform[:-100], read(whole)[:-100])
    with pytest.raises(OperationError, match="is cut off"):
        read(whole[:last] + page[:-1])


def ogg_crc(page: bytearray) -> int:
    crc = 0
    for byte in page:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7 if crc >> 31 else crc << 1) & 0xFFFFFFFF
    return crc


@pytest.mark.parametrize("n_samples", [RATE, 4096, 100_003])
def test_flac_of_a_pipe_is_read_whole(
    n_samples: int, read: Callable[[bytes], torch.Tensor]
) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.resize(SOUND, n_samples), RATE, format="FLAC")
    whole = buffer.getvalue()
    piped = patch(whole, 21, bytes([whole[21] & 0xF0, 0, 0, 0, 0]))
    torch.testing.assert_close(read(piped), read(whole))
    assert len(read(piped)) == n_samples
    with pytest.raises(OperationError, match="is cut off or damaged"):
        read(piped[:-40])


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("content", "failing"), [(riff(PCM), 2), (b"RIFF no sound at all", 3)])
def test_an_error_of_the_disk_is_not_called_damage(
    content: bytes,
    failing: int,
    reader: Callable[[Path, int], torch.Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, open_path, n_opened = tmp_path / "a.wav", Path.open, itertools.count(1)
    path.write_bytes(content)

    def fail(file: Path, mode: str = "r") -> Any:
        if next(n_opened) == failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(file))
        return open_path(file, mode)

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(OperationError, match="Cannot read .*a.wav: Input/output error"):
        reader(path, RATE)


def test_flac_header_that_gives_fewer_samples_than_there_are_is_refused(
    read: Callable[[bytes], torch.Tensor],
) -> None:
    content = encode("FLAC")
    kept = int.from_bytes(content[21:26], "big") & ~0xF_FFFF_FFFF
    for announced in (1, RATE // 2, RATE - 1):
        with pytest.raises(OperationError, match=rf"only {announced:,} be read"):
            read(patch(content, 21, (kept | announced).to_bytes(5, "big")))
    assert len(read(content)) == RATE


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF])
def test_au_file_whose_sound_begins_in_its_header_is_refused(
    length: int, read: Callable[[bytes], torch.Tensor]
) -> None:
    content = encode("AU")
    assert len(read(patch(content, 8, length.to_bytes(4, "big")))) == RATE
    with pytest.raises(OperationError, match=r"\.wav (holds|is cut off)"):
        read(patch(content, 4, struct.pack(">II", 8, length)))


def test_mp3_file_whose_length_the_decoder_underestimates_is_refused(
    read: Callable[[bytes], torch.Tensor],
) -> None:
    buffer, quiet = io.BytesIO(), np.concatenate([1e-3 * SOUND] * 20)
    loud = 0.3 * np.random.default_rng(0).standard_normal(20 * RATE).clip(-2, 2)
    with soundfile.SoundFile(
        buffer, "w", RATE, 1, "MPEG_LAYER_III", format="MP3", bitrate_mode="VARIABLE"
    ) as file:
        file.write(np.concatenate([quiet, loud]))
    content = buffer.getvalue()
    assert len(read(content)) == 40 * RATE
    without_length = content[content.index(content[:2], 4) :]
    with pytest.raises(OperationError, match=r"has about .* samples, but its header lets only"):
        read(without_length)
