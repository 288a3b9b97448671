"""Sounds in the forms that users have become one waveform, or are refused in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from frami.audio.io import resample
from frami.audio.waveform import as_mono, as_waveform
from frami.core.errors import FramiError, OperationError, UsageError

RATE = 8000
SOUND = 0.5 * torch.sin(torch.arange(RATE) / 5)
PCM = (SOUND * 32768).round().short()


@pytest.mark.parametrize(
    "sound",
    [
        SOUND,
        SOUND[None],
        SOUND.double(),
        SOUND.double().numpy(),
        SOUND.numpy()[None],
        SOUND.clone().requires_grad_(),
        torch.stack([SOUND * 1.5, SOUND * 0.5]),
        SOUND.numpy().astype(">f4"),
        SOUND.flip(0).numpy()[::-1],
    ],
)
def test_every_form_of_floats_is_the_same_waveform(sound: Any) -> None:
    waveform = as_waveform(sound, None, RATE)
    assert waveform.dtype == torch.float32 and not waveform.requires_grad
    torch.testing.assert_close(waveform, SOUND)


@pytest.mark.parametrize(
    "sound", [PCM, PCM.numpy(), PCM.int() * 65536, torch.stack([PCM, PCM]), PCM.numpy()[None]]
)
def test_integers_are_scaled(sound: Any) -> None:
    torch.testing.assert_close(as_waveform(sound, None, RATE), SOUND, rtol=0, atol=1 / 32768)


def test_masked_samples_are_refused() -> None:
    samples = np.ma.masked_greater(SOUND.numpy(), 0.2)
    with pytest.raises(UsageError, match="masked samples"):
        as_waveform(samples, None, RATE)
    unmasked = np.ma.masked_array(SOUND.numpy())
    torch.testing.assert_close(as_waveform(unmasked, None, RATE), SOUND)


def test_half_precision_and_full_scale() -> None:
    torch.testing.assert_close(as_mono(SOUND.half()), SOUND, rtol=0, atol=1e-3)
    assert as_mono(torch.tensor([-32768, 32767], dtype=torch.int16)).tolist() == [
        -1.0,
        32767 / 32768,
    ]
    assert as_mono(torch.tensor([1.5, -2.0])).tolist() == [1.0, -1.0]


def test_another_rate_is_resampled_and_a_file_has_its_own(tmp_path: Path) -> None:
    torch.testing.assert_close(as_waveform(SOUND, 16000, RATE), resample(SOUND, 16000, RATE))
    soundfile.write(tmp_path / "a.wav", SOUND.numpy(), RATE, subtype="FLOAT")
    torch.testing.assert_close(as_waveform(tmp_path / "a.wav", 44100, RATE), SOUND)


@pytest.mark.parametrize(
    "sound, rate, error, words",
    [
        (PCM.float(), None, UsageError, "divide them by 32768"),
        (SOUND * np.nan, None, UsageError, "NaN"),
        (np.full(RATE, np.inf), None, UsageError, "infinity"),
        (np.zeros((RATE, 2)), None, UsageError, "transpose it"),
        (torch.zeros(4, 1, RATE), None, UsageError, "one clip at a time"),
        (torch.zeros(3, RATE), None, UsageError, "shape \\(3, 8000\\)"),
        (torch.tensor(0.5), None, UsageError, "shape \\(\\)"),
        (np.zeros(0), None, UsageError, "0 samples"),
        (torch.ones(100) / 2, None, UsageError, "12 ms at 8000 Hz"),
        (torch.zeros(RATE), None, OperationError, "silent"),
        (PCM.int(), None, OperationError, "peak of 7.6e-06.*convert them to int16"),
        (SOUND / 32768, None, OperationError, "divided by 32768 twice, divide them once"),
        (SOUND.to_sparse(), None, UsageError, "of torch.sparse_coo; pass a dense one"),
        (SOUND.to("meta"), None, UsageError, "on the device meta"),
        (np.arange(RATE), None, UsageError, "int64"),
        (np.array(["a"]), None, UsageError, "<U1"),
        (SOUND.bool(), None, UsageError, "bool"),
        ([0.0] * RATE, None, UsageError, "not list"),
        (None, None, UsageError, "not NoneType"),
        (SOUND, 0, UsageError, "`sample_rate` is 0"),
        (SOUND, "8k", UsageError, "`sample_rate` is '8k'"),
        (SOUND, 8000.5, UsageError, "`sample_rate` is 8000.5"),
        ("nowhere.wav", None, UsageError, "There is no file"),
    ],
)
def test_what_is_not_a_waveform_is_refused(
    sound: Any, rate: Any, error: type[FramiError], words: str
) -> None:
    with pytest.raises(error, match=words):
        as_waveform(sound, rate, RATE)
