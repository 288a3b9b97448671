"""Sounds in blocks equal whole sounds, however they are cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from frami.audio.blocks import Resampler, read_blocks
from frami.audio.io import read_audio, resample
from frami.core.errors import OperationError


def random_chunks(waveform: torch.Tensor, seed: int) -> list[torch.Tensor]:
    """Return a waveform in chunks of 0 samples to a fifth of it."""
    rng = np.random.default_rng(seed)
    cuts = np.sort(rng.integers(0, len(waveform) + 1, 12))
    return [waveform[a:b] for a, b in zip([0, *cuts], [*cuts, len(waveform)], strict=True)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "rate, new_rate",
    [(44100, 16000), (48000, 16000), (8000, 16000), (22050, 8000), (44101, 8000), (8000, 8000)],
)
def test_resampled_chunks_are_the_resampled_whole(rate: int, new_rate: int, seed: int) -> None:
    torch.manual_seed(seed)
    waveform = torch.rand(rate // 2 + 37 * seed) * 2 - 1
    resampler = Resampler(rate, new_rate)
    parts = [resampler.feed(chunk) for chunk in random_chunks(waveform, seed)]
    joined = torch.cat([*parts, resampler.finish()])
    torch.testing.assert_close(joined, resample(waveform, rate, new_rate), rtol=0, atol=2e-6)


def test_resampler_keeps_a_bounded_buffer_and_answers_soon() -> None:
    resampler = Resampler(48000, 16000)
    for _ in range(50):
        returned = len(resampler.feed(torch.rand(4800)))
        assert len(resampler._buffer) < 600
    assert returned == 1600


def test_resampler_of_few_samples_and_of_none() -> None:
    resampler = Resampler(44100, 16000)
    assert len(resampler.feed(torch.ones(3))) == 0
    torch.testing.assert_close(resampler.finish(), resample(torch.ones(3), 44100, 16000))
    assert len(Resampler(44100, 16000).finish()) == 0


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("sample_rate", [8000, 11025])
def test_blocks_of_a_file_are_the_whole_file(suffix: str, sample_rate: int, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    noise = 0.3 * np.random.default_rng(0).standard_normal((20000, 2))
    soundfile.write(path, noise.clip(-1, 1), 8000)
    blocks = list(read_blocks(path, sample_rate, seconds=0.31))
    assert len(blocks) > 8
    torch.testing.assert_close(torch.cat(blocks), read_audio(path, sample_rate), rtol=0, atol=2e-6)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_a_file_that_is_cut_off_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, 0.3 * np.random.default_rng(0).standard_normal(40000), 8000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(OperationError, match="cut off"):
        list(read_blocks(path, 8000, seconds=0.5))


def test_a_file_with_nan_or_of_text_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(800, np.nan), 8000, subtype="FLOAT")
    (tmp_path / "b.wav").write_text("not audio")
    with pytest.raises(OperationError, match="NaN"):
        list(read_blocks(tmp_path / "a.wav", 8000))
    with pytest.raises(OperationError, match="not audio"):
        list(read_blocks(tmp_path / "b.wav", 8000))
