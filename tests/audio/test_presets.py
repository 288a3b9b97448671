"""Presets compute what their libraries compute, on sounds of all kinds and lengths."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from frami.audio import filterbanks
from frami.audio.preset_names import SOURCES
from frami.audio.presets import PRESETS, find_preset
from frami.core.errors import UsageError
from tests.audio.library_features import LIBRARIES

pytestmark = pytest.mark.filterwarnings(
    "ignore:At least one mel filterbank", "ignore:Empty filters detected"
)
SECONDS = (0.4, 0.1003)
GOLDEN = json.loads(
    (Path(__file__).parents[1] / "data" / "library_features.json").read_text(encoding="utf-8")
)


def sounds(rate: int) -> Iterator[tuple[str, Tensor]]:
    """Yield noise, quiet noise, a chirp and a click of several lengths, ``(T,)`` float64."""
    rng = np.random.default_rng(0)
    for seconds in SECONDS:
        n_samples = int(seconds * rate)
        time = np.arange(n_samples) / rate
        noise = rng.uniform(-1, 1, n_samples)
        yield "noise", torch.from_numpy(noise)
        yield "quiet noise", torch.from_numpy(1e-4 * noise)
        sweep = 50 * time + 0.22 * rate * time**2 / seconds
        yield "chirp", torch.from_numpy(0.9 * np.sin(2 * math.pi * sweep))
        click = np.zeros(n_samples)
        click[n_samples // 2] = 1
        yield "click", torch.from_numpy(click)


def test_every_preset_has_a_library_and_a_line() -> None:
    assert list(PRESETS) == list(SOURCES) and set(PRESETS) == set(LIBRARIES)
    assert all(f"{preset}" and entry.source for preset, entry in SOURCES.items())


# librosa compiles some of its functions at first use.
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * ("librosa" in name)) for name in PRESETS],
)
def test_preset_equals_its_library(name: str) -> None:
    front_end = PRESETS[name]
    for kind, waveform in sounds(front_end.sample_rate):
        expected = torch.from_numpy(LIBRARIES[name](waveform.numpy()))
        # torchaudio computes the angles of its cosine transform in float32; MFCCs reach 1000.
        torch.testing.assert_close(
            front_end(waveform),
            expected,
            rtol=0,
            atol=3e-4 if name == "torchaudio-mfcc" else 1e-4,
            msg=f"{kind}, {len(waveform)} samples",
        )


@pytest.mark.parametrize("name", [name for name in GOLDEN if name != "note"])
def test_preset_equals_what_its_library_computed(name: str) -> None:
    front_end = PRESETS[name]
    n_samples = int(0.1003 * front_end.sample_rate)
    noise = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, n_samples))
    rows = front_end(noise)[:: 1 if name == "mfcc" else 8]
    expected = torch.tensor(GOLDEN[name]["features"], dtype=torch.float64)
    torch.testing.assert_close(rows, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", PRESETS)
def test_preset_in_float32_differs_by_rounding_only(name: str) -> None:
    front_end = PRESETS[name]
    waveform = next(noise for kind, noise in sounds(front_end.sample_rate) if kind == "noise")
    torch.testing.assert_close(
        front_end(waveform.float()).double(), front_end(waveform), rtol=1e-5, atol=1e-3
    )


@pytest.mark.parametrize("name", PRESETS)
def test_preset_counts_frames_and_seconds(name: str) -> None:
    front_end = PRESETS[name]
    for n_samples in (*range(1, 40, 13), *range(900, 4000, 331)):
        frames = front_end(torch.randn(n_samples)).shape
        expected = front_end.n_frames(n_samples / front_end.sample_rate)
        assert frames == (front_end.n_mels, expected) and expected >= 1
    shortest = front_end.n_frames(0)
    assert all(front_end.n_frames(front_end.seconds(n)) == n for n in range(shortest, 500))


@pytest.mark.parametrize("name", PRESETS)
def test_preset_range_holds_silence_noise_and_sines(name: str) -> None:
    front_end = PRESETS[name]
    low, high = front_end.value_range
    rate = front_end.sample_rate
    silence = front_end(torch.zeros(rate // 4))
    time = torch.arange(rate // 4) / rate
    sines = [torch.sin(2 * math.pi * hertz * time) for hertz in (200, 1000, 3000)]
    loud = torch.stack([front_end(x) for x in (torch.rand(rate // 4) * 2 - 1, *sines)])
    # A wide band holds the whole main lobe of a sine, whose power counts as one bin's.
    margin = 0.15 * (high - low) if front_end.mfcc_bands else 1.0 * unit(name)
    assert float(silence.min()) >= low - 1e-3 and float(loud.min()) >= low - 1e-3
    assert float(loud.max()) <= high + margin
    if not front_end.mfcc_bands:
        assert float(silence.max()) == pytest.approx(low, abs=1e-3)
        assert float(loud.max()) >= high - 2.5 * unit(name)


def unit(name: str) -> float:
    """Return the change of a value where the power grows by a factor of e."""
    front_end = PRESETS[name]
    per_neper = {"ln": 1.0, "log10": 1 / math.log(10), "dB": 10 / math.log(10)}[front_end.log]
    return per_neper / front_end.std


@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_differentiable(name: str) -> None:
    front_end = PRESETS[name]
    waveform = torch.randn(front_end.sample_rate // 8, requires_grad=True)
    fresh = replace(front_end, mean=7.5)  # nothing of it is in a cache
    with torch.inference_mode():
        fresh(waveform)
    loss = fresh(waveform).square().mean()
    loss.backward()  # type: ignore[no-untyped-call]
    assert waveform.grad is not None and waveform.grad.isfinite().all()
    assert float(waveform.grad.abs().max()) > 0


@pytest.mark.parametrize("name", PRESETS)
def test_preset_batch_equals_single_clips(name: str) -> None:
    clips = torch.randn(2, 3000) * torch.tensor([[1.0], [1e-3]])
    batch = PRESETS[name](clips)
    torch.testing.assert_close(
        batch, torch.stack([PRESETS[name](clip) for clip in clips]), rtol=1e-4, atol=1e-3
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_roughly_invertible(name: str) -> None:
    front_end = PRESETS[name]
    rate = front_end.sample_rate
    time = torch.arange(rate // 2) / rate
    waveform = (0.5 * torch.sin(2 * math.pi * (300 + 1200 * time) * time)) * (-3 * time).exp()
    waveform = waveform + 0.01 * torch.randn(len(time))
    mel = front_end(waveform)
    back = front_end(front_end.to_waveform(mel, iterations=32))
    shared = min(mel.shape[1], back.shape[1])
    assert abs(mel.shape[1] - back.shape[1]) <= 1
    inner = slice(3, shared - 3)
    correlation = torch.corrcoef(torch.stack([mel[:, inner].flatten(), back[:, inner].flatten()]))
    assert float(correlation[0, 1]) > 0.9


@pytest.mark.parametrize("name", [n for n in PRESETS if PRESETS[n].rows_are_bands])
def test_preset_effective_bins_predict_the_spread_of_noise(name: str) -> None:
    front_end = PRESETS[name]
    noise = 0.3 * torch.randn(front_end.sample_rate * 8, generator=torch.Generator().manual_seed(0))
    spread = front_end(noise)[:, 20:-20].std(dim=1) / unit(name)
    expected = torch.polygamma(1, filterbanks.effective_bins(front_end)).sqrt()
    bands = filterbanks.filterbank_matrix(front_end).sum(dim=0) > 0  # some have no bin
    assert float((spread / expected - 1)[bands].abs().median()) < 0.12


def test_find_preset_unknown_name_suggests_the_nearest() -> None:
    assert find_preset("panns").sample_rate == 32000
    with pytest.raises(UsageError, match="Did you mean 'whisper'"):
        find_preset("wisper")
