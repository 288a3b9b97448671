"""Audio files are read, resampled, or refused with a reason."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from frami.audio.blocks import read_blocks
from frami.audio.io import read_audio, resample
from frami.core.errors import OperationError, UsageError
from tests.audio.helpers import RATE, sine


def write(path: Path, samples: NDArray[np.float64], **options: str) -> Path:
    soundfile.write(path, samples, RATE, **options)
    return path


@pytest.fixture
def noise() -> NDArray[np.float64]:
    return 0.3 * np.random.default_rng(0).standard_normal(RATE)


@pytest.mark.parametrize("rate", [16000, 22050, 44100])
def test_resample_keeps_pitch_level_and_length(rate: int) -> None:
    resampled = resample(sine(440, rate), rate, RATE)
    assert len(resampled) == RATE
    inside = slice(500, -500)
    torch.testing.assert_close(resampled[inside], sine(440, RATE)[inside], rtol=0, atol=5e-3)


@pytest.mark.parametrize("rate", [7993, 44101, 47989])
def test_resample_odd_rate_is_fast_and_close(rate: int) -> None:
    start = time.process_time()
    resampled = resample(sine(440, rate), rate, RATE)
    assert time.process_time() - start < 2
    assert abs(len(resampled) - RATE) <= 2
    first = slice(500, 2500)
    torch.testing.assert_close(resampled[first], sine(440, RATE)[first], rtol=0, atol=0.1)


def test_resample_to_a_lower_rate_removes_higher_frequencies() -> None:
    assert float(resample(sine(6000, 16000), 16000, RATE)[500:-500].abs().max()) < 0.01


@pytest.mark.parametrize("rate", [16000, 22050, 44100])
def test_resample_keeps_high_frequencies_and_removes_aliases(rate: int) -> None:
    def gain(share: float) -> float:
        """Return the gain in dB at a frequency that is a share of the new rate."""
        output = resample(sine(share * RATE, rate), rate, RATE)[500:-500]
        return 10 * math.log10(2 * float(output.square().mean()) + 1e-12)

    assert gain(0.25) == pytest.approx(0, abs=0.05)
    assert gain(0.44) == pytest.approx(0, abs=0.1)
    assert gain(0.46) == pytest.approx(0, abs=0.1)
    assert gain(0.47) == pytest.approx(0, abs=0.5)
    for alias in (0.51, 0.6, 0.9):
        assert gain(alias) < -50


def test_resample_to_the_same_rate_returns_the_same_waveform() -> None:
    waveform = sine(440, RATE)
    assert resample(waveform, RATE, RATE) is waveform


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_read_audio_returns_what_was_written(
    suffix: str, noise: NDArray[np.float64], tmp_path: Path
) -> None:
    read = read_audio(write(tmp_path / f"a.{suffix}", noise.clip(-1, 1)), RATE)
    assert read.shape == (RATE,) and read.dtype == torch.float32
    assert np.corrcoef(read, noise)[0, 1] > (0.9 if suffix == "ogg" else 0.9999)


def test_read_audio_stereo_is_mixed_down(noise: NDArray[np.float64], tmp_path: Path) -> None:
    both = np.stack([noise, 0 * noise], axis=1)
    read = read_audio(write(tmp_path / "a.wav", both, subtype="FLOAT"), RATE)
    np.testing.assert_allclose(read, noise.clip(-2, 2) / 2, atol=1e-6)


def test_read_audio_other_rate_is_resampled(noise: NDArray[np.float64], tmp_path: Path) -> None:
    assert len(read_audio(write(tmp_path / "a.wav", noise), 2 * RATE)) == 2 * RATE


def test_read_audio_absent_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no file"):
        read_audio(tmp_path / "a.wav", RATE)


def test_read_audio_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    with pytest.raises(OperationError, match="is an empty file"):
        read_audio(tmp_path / "a.wav", RATE)


@pytest.mark.parametrize("content", [b"hello, I am text\n" * 20, b"\0" * 5000, b"R"])
def test_read_audio_other_content_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(OperationError, match=r"a\.wav is not audio that can be read"):
        read_audio(tmp_path / "a.wav", RATE)


@pytest.mark.parametrize("lost", [2, 40, 500, 2500])
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_read_audio_truncated_file_is_refused(
    suffix: str, lost: int, noise: NDArray[np.float64], tmp_path: Path
) -> None:
    path = write(tmp_path / f"a.{suffix}", noise)
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(OperationError, match=rf"a\.{suffix} is cut off"):
        read_audio(path, RATE)


@pytest.mark.parametrize("rate", [1, 2**31 - 1])
def test_read_audio_absurd_rate_is_refused(
    rate: int, noise: NDArray[np.float64], tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "a.wav", noise, rate)
    with pytest.raises(OperationError, match=rf"sample rate of {rate} Hz"):
        read_audio(tmp_path / "a.wav", RATE)


@pytest.mark.parametrize("content", [b"RIFF no audio..", b"OggS no audio..", b"FORM no audio.."])
@pytest.mark.parametrize("read", [read_audio, lambda *arguments: list(read_blocks(*arguments))])
def test_bytes_that_begin_like_audio_may_be_something_else(
    read: Callable[..., object], content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(OperationError, match=r"a\.wav is not audio, or is cut off: fetch it"):
        read(tmp_path / "a.wav", RATE)


BAD = {
    "is silent: all of its 8000 samples are zero": np.zeros(RATE),
    "less than one step of 16 bits": np.full(RATE, 2.0**-16),
    "its two channels cancel": np.linspace(-0.5, 0.5, RATE)[:, None] * [1, -1],
    "not numbers": np.where(np.arange(RATE) == 70, np.nan, 0.1),
    "has 6 channels": np.full((RATE, 6), 0.1),
    "lasts 10 ms": np.full(RATE // 100, 0.1),
    "lasts 0 ms": np.zeros(0),
    "samples are 0.25, a constant offset": np.full(RATE, 0.25),
}


@pytest.mark.parametrize("reason", BAD)
def test_read_audio_unusable_clip_is_refused(reason: str, tmp_path: Path) -> None:
    with pytest.raises(OperationError, match=reason):
        read_audio(write(tmp_path / "a.wav", BAD[reason], subtype="FLOAT"), RATE)


@pytest.fixture(scope="module")
def wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("wav") / "whole.wav"
    soundfile.write(path, 0.3 * np.random.default_rng(0).standard_normal(RATE), RATE)
    return path


@settings(max_examples=60, deadline=None)
@given(lost=st.integers(2, 2 * RATE + 44))
def test_read_audio_wav_truncated_anywhere_is_refused(lost: int, wav: Path) -> None:
    path = wav.with_name("truncated.wav")
    path.write_bytes(wav.read_bytes()[:-lost])
    with pytest.raises(OperationError, match=r"truncated\.wav"):
        read_audio(path, RATE)


def test_read_audio_wav_without_its_last_byte_is_read(wav: Path) -> None:
    # Some programs do not write the padding byte that the format asks for.
    path = wav.with_name("padding.wav")
    path.write_bytes(wav.read_bytes()[:-1])
    assert len(read_audio(path, RATE)) == RATE - 1
