"""Samples that cannot be a recording are refused by every reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from frami.audio.blocks import read_blocks
from frami.audio.io import read_audio
from frami.audio.levels import Mixdown
from frami.audio.waveform import as_mono
from frami.core.errors import FramiError, UsageError
from tests.audio.helpers import RATE

RNG = np.random.default_rng(0)
SOUND = 0.2 * RNG.standard_normal(RATE).clip(-3, 3)
OTHER = 0.2 * RNG.standard_normal(RATE).clip(-3, 3)
Samples = NDArray[np.float64]


def stereo(left: Samples, right: Samples) -> Samples:
    return np.stack([left, right], axis=1)


def from_file(samples: Samples, folder: Path) -> torch.Tensor:
    soundfile.write(folder / "a.wav", samples, RATE, subtype="FLOAT")
    return read_audio(folder / "a.wav", RATE)


def from_blocks(samples: Samples, folder: Path) -> torch.Tensor:
    soundfile.write(folder / "a.wav", samples, RATE, subtype="FLOAT")
    return torch.cat(list(read_blocks(folder / "a.wav", RATE, seconds=0.2)))


def from_array(samples: Samples, folder: Path) -> torch.Tensor:
    return as_mono(samples.T)


READERS: list[Callable[[Samples, Path], torch.Tensor]] = [from_file, from_blocks, from_array]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "samples, words",
    [
        (stereo(SOUND, -SOUND), "opposite phase"),
        (stereo(SOUND, -0.98 * SOUND), "opposite phase"),
        (stereo(SOUND, -0.85 * SOUND), "opposite phase"),
        (stereo(SOUND + 0.1, 0.1 - SOUND), "opposite phase"),  # a constant offset is no sound
        (stereo(SOUND, -SOUND + 1e-4 * OTHER), "opposite phase"),
        (10 * SOUND, r"has a peak of 6.0"),
        (4 * SOUND, r"has a peak of 2.4"),
        (32768 * SOUND, r"peak of 19,661.*16 bits, divide them by 32768"),
        (stereo(10 * SOUND, -10 * SOUND), "has a peak of 6"),  # of the channels, not of their mean
        (np.where(np.arange(RATE) == 7999, np.nan, SOUND), "NaN or infinity"),
        (np.where(np.arange(RATE) == 0, -np.inf, SOUND), "NaN or infinity"),
        (stereo(SOUND, np.where(np.arange(RATE) == 50, np.inf, SOUND)), "NaN or infinity"),
    ],
)
def test_samples_that_cannot_be_a_recording_are_refused(
    read: Callable[[Samples, Path], torch.Tensor], samples: Samples, words: str, tmp_path: Path
) -> None:
    with pytest.raises(FramiError, match=words):
        read(samples, tmp_path)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "samples, expected",
    [
        (2 * SOUND, (2 * SOUND).clip(-1, 1)),  # as of a lossy decoder
        (stereo(SOUND, OTHER), (SOUND + OTHER) / 2),
        (stereo(SOUND, -0.7 * SOUND), 0.15 * SOUND),
        (stereo(SOUND, 0 * SOUND), SOUND / 2),
        (stereo(SOUND, SOUND), SOUND),
    ],
)
def test_recordings_are_mixed_down(
    read: Callable[[Samples, Path], torch.Tensor],
    samples: Samples,
    expected: Samples,
    tmp_path: Path,
) -> None:
    np.testing.assert_allclose(read(samples, tmp_path), expected, atol=1e-6)


@pytest.mark.parametrize("read", [from_file, from_array])
def test_channels_that_cancel_in_a_part_of_a_sound_are_refused(
    read: Callable[[Samples, Path], torch.Tensor], tmp_path: Path
) -> None:
    sound = np.concatenate([SOUND, OTHER] * 6)
    tenth, half = (
        stereo(sound, np.where(np.arange(len(sound)) < part * len(sound), -sound, sound))
        for part in (0.1, 0.5)
    )
    assert len(read(tenth, tmp_path)) == len(sound)
    with pytest.raises(FramiError, match="silent as mono in parts: its two channels"):
        read(half, tmp_path)


def test_short_chunks_of_a_stream_may_cancel() -> None:
    mixdown = Mixdown("The sound", UsageError, judged_from=RATE)
    chunk = torch.from_numpy(stereo(SOUND, -SOUND))
    for start in range(0, RATE - 100, 100):
        mixdown.mix(chunk[start : start + 100])
    with pytest.raises(UsageError, match="opposite phase"):
        mixdown.mix(chunk[-100:])
