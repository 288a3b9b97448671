"""A small file that decodes to hours of sound is refused before it is decoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from frami.audio import io
from frami.audio.blocks import read_blocks
from frami.core.errors import OperationError


@pytest.mark.parametrize("name", ["a.flac", "a.ogg"])
def test_compressed_silence_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = np.zeros(1 << 21, "float32")
    samples[:100] = 0.5
    with soundfile.SoundFile(tmp_path / name, "w", 16000, 1) as file:
        for block in samples.reshape(-1, 1 << 14):  # libsndfile crashes on long blocks of Vorbis
            file.write(block)
    assert len(io.read_audio(tmp_path / name, 16000)) == len(samples)  # two minutes are allowed
    monkeypatch.setattr(io, "SAMPLES_OF_ANY_FILE", 1000)
    with pytest.raises(OperationError, match=r"stands for 2,097,152 samples, too many"):
        io.read_audio(tmp_path / name, 16000)
    with pytest.raises(OperationError, match="too many for a file of its size"):
        list(read_blocks(tmp_path / name, 16000))


def test_header_that_claims_a_year_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, np.sin(np.arange(8000) / 5), 16000)
    content = bytearray(path.read_bytes())
    # The last 36 bits of 8 bytes in the header are the number of samples.
    assert int.from_bytes(content[18:26], "big") % 2**36 == 8000
    content[21] |= 0x0F
    content[22:26] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    with pytest.raises(OperationError, match="too many for a file of its size"):
        io.read_audio(path, 16000)


def test_speech_at_the_lowest_bit_rate_is_below_the_limit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 0.1, 48000 * 4) * np.sin(np.arange(48000 * 4) / 4000)
    path = tmp_path / "a.ogg"
    soundfile.write(path, sound, 48000, format="OGG", subtype="OPUS", compression_level=1.0)
    assert len(sound) / path.stat().st_size < io.SAMPLES_PER_BYTE


def test_samples_count_at_the_rate_of_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.sin(np.arange(8000) / 5), 1000, subtype="PCM_U8")
    monkeypatch.setattr(io, "SAMPLES_OF_ANY_FILE", 1000)
    assert len(io.read_audio(path, 100_000)) == 800_000
    with pytest.raises(OperationError, match=r"stands for 6,144,000 samples"):
        io.read_audio(path, 768_000)
