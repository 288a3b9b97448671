"""The front end: arithmetic, range, lengths and refused settings."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from tests.audio.helpers import RATE, sine


@pytest.mark.parametrize("samples", [2000, 2047, 2048, 2049, 8000, 8063, 8064])
def test_n_frames_of_any_length_is_that_of_the_spectrogram(
    samples: int, front_end: FrontEnd
) -> None:
    assert front_end(torch.zeros(samples)).shape == (24, front_end.n_frames(samples / RATE))


@pytest.mark.parametrize("padding", ["reflect", "zeros", "none"])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("n_fft", [254, 255])
def test_n_frames_of_an_odd_transform_is_that_of_the_spectrogram(
    n_fft: int, drop_last: bool, padding: str
) -> None:
    front_end = FrontEnd(
        n_fft=n_fft,
        win_length=250,
        hop_length=250,
        n_mels=8,
        repeat_seconds=0.0,
        padding=padding,
        drop_last_frame=drop_last,
    )
    for samples in (1, 249, 250, 251, 499, 500, 501, 750):
        mel = front_end(torch.rand(samples))
        assert mel.shape[1] == front_end.n_frames(samples / front_end.sample_rate) > 0


@pytest.mark.filterwarnings("ignore:At least one mel filterbank")
def test_bands_without_a_width_are_refused() -> None:
    with pytest.raises(UsageError, match="f_min 0 and f_max 0.001 are too close"):
        FrontEnd(f_min=0.0, f_max=0.001)(torch.rand(8000))


def test_the_least_floor_keeps_silence_finite() -> None:
    front_end = FrontEnd(power_floor=2.0**-126, clamp_power=True)
    assert float(front_end(torch.zeros(16000)).min()) == pytest.approx(front_end.value_range[0])


def test_seconds_and_n_frames_are_inverse() -> None:
    slow = FrontEnd(sample_rate=8000, hop_length=100, f_max=4000.0)
    for front_end in (FrontEnd(), slow, replace(slow, n_fft=255, win_length=255)):
        shortest = front_end.n_frames(front_end.repeat_seconds)
        assert all(front_end.n_frames(front_end.seconds(n)) == n for n in range(shortest, 2000))


def test_front_end_silence_has_the_lowest_value(front_end: FrontEnd) -> None:
    mel = front_end(torch.zeros(RATE))
    torch.testing.assert_close(mel, torch.full_like(mel, front_end.value_range[0]))


def test_front_end_full_scale_noise_stays_within_the_range(front_end: FrontEnd) -> None:
    torch.manual_seed(0)
    low, high = front_end.value_range
    for waveform in (2 * torch.rand(RATE) - 1, torch.randn(RATE).sign()):
        mel = front_end(waveform)
        assert low <= float(mel.min()) and float(mel.max()) <= high


@pytest.mark.parametrize("hertz", [300, 1000, 2500, 3500])
def test_front_end_full_scale_sine_is_at_the_top_of_the_range(
    hertz: int, front_end: FrontEnd
) -> None:
    # A wide band covers the main lobe of the Hann window: 1.5 times the power of its center.
    gap = float(front_end(sine(hertz, RATE)).max()) - front_end.value_range[1]
    assert abs(gap) <= math.log(1.5) / front_end.std


def test_front_end_louder_by_a_factor_is_a_step_in_the_logarithm(front_end: FrontEnd) -> None:
    loud, soft = front_end(sine(1000, RATE)).max(), front_end(0.1 * sine(1000, RATE)).max()
    assert float(loud - soft) * front_end.std == pytest.approx(math.log(100), rel=1e-3)


def test_front_end_short_clip_is_repeated(front_end: FrontEnd) -> None:
    clip = torch.randn(700)
    torch.testing.assert_close(front_end(clip), front_end(clip.repeat(3)[:2000]))


def test_front_end_clip_shorter_than_half_a_window_is_repeated(front_end: FrontEnd) -> None:
    short = replace(front_end, repeat_seconds=0.0)
    mel = short(torch.randn(40))
    assert mel.isfinite().all() and mel.shape[1] == short.n_frames(40 / short.sample_rate) == 2


def test_front_end_batch_equals_single_clips(front_end: FrontEnd) -> None:
    clips = torch.randn(3, 500)
    torch.testing.assert_close(front_end(clips), torch.stack([front_end(clip) for clip in clips]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"hop_length": 0},
        {"n_mels": 10**9},
        {"win_length": 512},
        {"f_min": 4000.0},
        {"std": 0.0},
        {"std": math.inf},
        {"power_floor": 1e-50},
        {"power_floor": math.inf},
        {"mean": math.nan},
        {"hop_length": 1, "n_fft": 512},
        {"hop_length": 1, "n_fft": 64, "win_length": 64, "n_mels": 8},
        {"repeat_seconds": 250.0},
        {"filterbank": "kaldi", "n_fft": 511},
    ],
)
def test_front_end_impossible_settings_are_refused(
    wrong: dict[str, Any], front_end: FrontEnd
) -> None:
    with pytest.raises(UsageError, match="do not make a front end"):
        replace(front_end, **wrong)


def test_front_end_unknown_filterbank_is_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean 'gammatone'"):
        FrontEnd(filterbank="gamatone")
