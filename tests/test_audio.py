"""The front end's arithmetic, resampling, and every file that is refused, with its reason."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from frami.audio import filterbanks
from frami.audio.frontend import FrontEnd
from frami.audio.io import read_audio, resample
from frami.core.errors import OperationError, UsageError

RATE = 8000


def sine(hertz: float, rate: int, seconds: float = 1.0) -> torch.Tensor:
    return torch.sin(2 * math.pi * hertz * torch.arange(int(seconds * rate)) / rate)


def write(path: Path, samples: np.ndarray, **how: str) -> Path:
    soundfile.write(path, samples, RATE, **how)
    return path


@pytest.fixture
def noise() -> np.ndarray:
    return 0.3 * np.random.default_rng(0).standard_normal(RATE)


@pytest.mark.parametrize("samples", [2000, 2047, 2048, 2049, 8000, 8063, 8064])
def test_frames_says_how_many_a_waveform_has(samples: int, front_end: FrontEnd) -> None:
    assert front_end(torch.zeros(samples)).shape == (24, front_end.n_frames(samples / RATE))


def test_seconds_and_frames_are_each_others_inverse() -> None:
    for front_end in (FrontEnd(), FrontEnd(sample_rate=8000, hop_length=100, f_max=4000.0)):
        shortest = front_end.n_frames(front_end.repeat_seconds)
        assert all(front_end.n_frames(front_end.seconds(n)) == n for n in range(shortest, 2000))


def test_silence_is_the_lowest_value(front_end: FrontEnd) -> None:
    mel = front_end(torch.zeros(RATE))
    torch.testing.assert_close(mel, torch.full_like(mel, front_end.value_range[0]))


def test_full_scale_noise_stays_within_the_range(front_end: FrontEnd) -> None:
    torch.manual_seed(0)
    low, high = front_end.value_range
    for waveform in (2 * torch.rand(RATE) - 1, torch.randn(RATE).sign()):
        mel = front_end(waveform)
        assert low <= float(mel.min()) and float(mel.max()) <= high


@pytest.mark.parametrize("hertz", [300, 1000, 2500, 3500])
def test_a_full_scale_sine_is_at_the_top_of_the_range(hertz: int, front_end: FrontEnd) -> None:
    # A wide band takes in the whole main lobe of the Hann window: 1.5 times the power of its middle.
    gap = float(front_end(sine(hertz, RATE)).max()) - front_end.value_range[1]
    assert abs(gap) <= math.log(1.5) / front_end.std


def test_louder_by_a_factor_is_a_step_in_the_logarithm(front_end: FrontEnd) -> None:
    loud, soft = front_end(sine(1000, RATE)).max(), front_end(0.1 * sine(1000, RATE)).max()
    assert float(loud - soft) * front_end.std == pytest.approx(math.log(100), rel=1e-3)


def test_a_short_clip_is_repeated(front_end: FrontEnd) -> None:
    clip = torch.randn(700)
    torch.testing.assert_close(front_end(clip), front_end(clip.repeat(3)[:2000]))


def test_a_clip_shorter_than_half_a_window_is_repeated_too(front_end: FrontEnd) -> None:
    heard = replace(front_end, repeat_seconds=0.0)
    mel = heard(torch.randn(40))
    assert mel.isfinite().all() and mel.shape[1] == heard.n_frames(40 / heard.sample_rate) == 2


def test_a_batch_is_heard_clip_by_clip(front_end: FrontEnd) -> None:
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
        {"mean": math.nan},
    ],
)
def test_an_impossible_front_end_is_refused(wrong: dict[str, float], front_end: FrontEnd) -> None:
    with pytest.raises(UsageError, match="No front end is possible"):
        replace(front_end, **wrong)


@pytest.mark.parametrize("rate", [16000, 22050, 44100])
def test_resampling_keeps_pitch_level_and_length(rate: int) -> None:
    there = resample(sine(440, rate), rate, RATE)
    assert len(there) == RATE
    inside = slice(500, -500)
    torch.testing.assert_close(there[inside], sine(440, RATE)[inside], rtol=0, atol=5e-3)


@pytest.mark.parametrize("rate", [7993, 44101, 47989])
def test_resampling_an_odd_rate_is_fast_and_close(rate: int) -> None:
    began = time.process_time()
    there = resample(sine(440, rate), rate, RATE)
    assert time.process_time() - began < 2
    assert abs(len(there) - RATE) <= 2
    first = slice(500, 2500)
    torch.testing.assert_close(there[first], sine(440, RATE)[first], rtol=0, atol=0.1)


def test_resampling_removes_what_the_lower_rate_cannot_hold() -> None:
    assert float(resample(sine(6000, 16000), 16000, RATE)[500:-500].abs().max()) < 0.01


def test_resampling_to_the_same_rate_is_the_same() -> None:
    waveform = sine(440, RATE)
    assert resample(waveform, RATE, RATE) is waveform


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_a_file_is_read_as_it_was_written(suffix: str, noise: np.ndarray, tmp_path: Path) -> None:
    read = read_audio(write(tmp_path / f"a.{suffix}", noise.clip(-1, 1)), RATE)
    assert read.shape == (RATE,) and read.dtype == torch.float32
    assert np.corrcoef(read, noise)[0, 1] > (0.9 if suffix == "ogg" else 0.9999)


def test_stereo_is_mixed_down(noise: np.ndarray, tmp_path: Path) -> None:
    both = np.stack([noise, 0 * noise], axis=1)
    read = read_audio(write(tmp_path / "a.wav", both, subtype="FLOAT"), RATE)
    np.testing.assert_allclose(read, noise.clip(-2, 2) / 2, atol=1e-6)


def test_a_file_of_another_rate_is_resampled(noise: np.ndarray, tmp_path: Path) -> None:
    assert len(read_audio(write(tmp_path / "a.wav", noise), 2 * RATE)) == 2 * RATE


def test_a_recorders_wav_without_its_length_is_read(noise: np.ndarray, tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise)
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert len(read_audio(path, RATE)) == RATE


def test_a_file_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no file"):
        read_audio(tmp_path / "a.wav", RATE)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    with pytest.raises(OperationError, match="is an empty file"):
        read_audio(tmp_path / "a.wav", RATE)


@pytest.mark.parametrize("content", [b"hello, I am no sound\n" * 20, b"\0" * 5000, b"R"])
def test_a_file_that_is_not_audio_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(OperationError, match=r"a\.wav is not audio that can be read"):
        read_audio(tmp_path / "a.wav", RATE)


@pytest.mark.parametrize("lost", [2, 40, 500, 2500])
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_a_file_that_is_cut_off_is_refused(
    suffix: str, lost: int, noise: np.ndarray, tmp_path: Path
) -> None:
    path = write(tmp_path / f"a.{suffix}", noise)
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(OperationError, match=rf"a\.{suffix} is cut off"):
        read_audio(path, RATE)


@pytest.mark.parametrize("rate", [1, 2**31 - 1])
def test_an_absurd_rate_is_refused(rate: int, noise: np.ndarray, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise, rate)
    with pytest.raises(OperationError, match=rf"announces {rate} Hz"):
        read_audio(tmp_path / "a.wav", RATE)


def test_a_flac_that_announces_no_length_is_refused(noise: np.ndarray, tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", noise)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path.write_bytes(content)
    with pytest.raises(OperationError, match="convert it to wav"):
        read_audio(path, RATE)


BAD = {
    "is silent": np.zeros(RATE),
    "not numbers": np.where(np.arange(RATE) == 70, np.nan, 0.1),
    "has 6 channels": np.full((RATE, 6), 0.1),
    "lasts 10 ms": np.full(RATE // 100, 0.1),
    "lasts 0 ms": np.zeros(0),
}


@pytest.mark.parametrize("reason", BAD)
def test_a_clip_of_no_use_is_refused(reason: str, tmp_path: Path) -> None:
    with pytest.raises(OperationError, match=reason):
        read_audio(write(tmp_path / "a.wav", BAD[reason], subtype="FLOAT"), RATE)


@pytest.mark.parametrize("name", filterbanks.FILTERBANKS)
def test_band_centres_are_where_the_filters_are_highest(name: str) -> None:
    front_end = FrontEnd(
        sample_rate=8000, n_fft=512, win_length=512, hop_length=200, f_max=4000.0, filterbank=name
    )
    centres = filterbanks.center_frequencies(front_end)
    assert (
        torch.equal(centres, centres.sort().values)
        and 50 < float(centres[0]) < float(centres[-1]) < 4000
    )
    for band in (30, 45, 62):
        tone = torch.sin(2 * torch.pi * torch.arange(8000) * float(centres[band]) / 8000)
        assert int(front_end(tone).mean(dim=1).argmax()) == band


@pytest.mark.parametrize("name", filterbanks.FILTERBANKS)
def test_every_band_hears_and_none_gains_much(name: str) -> None:
    bank = filterbanks.filterbank_matrix(FrontEnd(filterbank=name))
    assert bank.shape == (513, 64) and float(bank.min()) >= 0
    if name == "slaney":
        bank = bank / bank.max(dim=0).values  # its areas are equal, not its peaks
    assert float(bank.max(dim=0).values.min()) > 0.4 and float(bank.max()) <= 1


@pytest.mark.parametrize("band", [4, 60])
def test_bands_are_as_wide_as_their_formula_says(band: int) -> None:
    bins = [16000 / 1024 * number for number in range(513)]
    gammatone = FrontEnd(filterbank="gammatone")
    centre = float(filterbanks.center_frequencies(gammatone)[band])
    width = max(1.019 * 24.7 * (4.37 * centre / 1000 + 1), bins[1] / 2)
    expected = [(1 + ((f - centre) / width) ** 2) ** -4 for f in bins]
    torch.testing.assert_close(
        filterbanks.filterbank_matrix(gammatone)[:, band], torch.tensor(expected)
    )
    constant = FrontEnd(filterbank="constant-q")
    below, centre, above = filterbanks.center_frequencies(constant)[band - 1 : band + 2].tolist()
    expected = [
        max(
            0.0,
            1
            - (
                (centre - f) / max(centre - below, bins[1])
                if f < centre
                else (f - centre) / max(above - centre, bins[1])
            ),
        )
        for f in bins
    ]
    torch.testing.assert_close(
        filterbanks.filterbank_matrix(constant)[:, band],
        torch.tensor(expected),
        atol=1e-5,
        rtol=1e-4,
    )


@pytest.mark.filterwarnings("ignore:At least one mel filterbank")
def test_a_band_without_a_bin_has_the_grain_of_one() -> None:
    narrow = FrontEnd(n_fft=512, win_length=400, hop_length=160, n_mels=128, f_min=20.0)
    assert (filterbanks.filterbank_matrix(narrow).sum(dim=0) == 0).any()
    found = filterbanks.effective_bins(narrow)
    assert found.isfinite().all() and (found >= 1).all()


def test_an_unknown_filterbank_is_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean 'gammatone'"):
        FrontEnd(filterbank="gamatone")


@pytest.mark.parametrize("name", filterbanks.FILTERBANKS)
def test_noise_is_as_grainy_as_the_independent_bins_say(name: str) -> None:
    front_end = FrontEnd(filterbank=name)
    noise = 0.3 * torch.randn(16000 * 20, generator=torch.Generator().manual_seed(0))
    heard = front_end(noise)[:, 20:-20].std(dim=1)
    expected = torch.polygamma(1, filterbanks.effective_bins(front_end)).sqrt()
    assert (
        float((heard / expected - 1).abs().median()) < 0.1
        and float((heard / expected - 1).abs().max()) < 0.25
    )
