"""Filterbanks: centers, widths, gains and the noise in a band."""

from __future__ import annotations

from typing import Any

import librosa
import pytest
import torch
from torch import Tensor

from frami.audio import filterbanks
from frami.audio.frontend import FrontEnd


@pytest.mark.parametrize("name", filterbanks.FILTERBANKS)
def test_center_frequencies_are_where_the_filters_are_highest(name: str) -> None:
    front_end = FrontEnd(
        sample_rate=8000, n_fft=512, win_length=512, hop_length=200, f_max=4000.0, filterbank=name
    )
    centers = filterbanks.center_frequencies(front_end)
    assert (
        torch.equal(centers, centers.sort().values)
        and 50 < float(centers[0]) < float(centers[-1]) < 4000
    )
    for band in (30, 45, 62):
        tone = torch.sin(2 * torch.pi * torch.arange(8000) * float(centers[band]) / 8000)
        assert int(front_end(tone).mean(dim=1).argmax()) == band


@pytest.mark.parametrize("name", filterbanks.FILTERBANKS)
def test_filterbank_matrix_every_band_has_a_peak_of_about_one(name: str) -> None:
    bank = filterbanks.filterbank_matrix(FrontEnd(filterbank=name))
    assert bank.shape == (513, 64) and float(bank.min()) >= 0
    if name in ("slaney", "librosa"):
        bank = bank / bank.max(dim=0).values  # equal areas, not equal peaks
    assert float(bank.max(dim=0).values.min()) > 0.4 and float(bank.max()) <= 1


@pytest.mark.parametrize("band", [4, 60])
def test_filterbank_matrix_bands_follow_their_formula(band: int) -> None:
    bins = [16000 / 1024 * index for index in range(513)]
    gammatone = FrontEnd(filterbank="gammatone")
    center = float(filterbanks.center_frequencies(gammatone)[band])
    width = max(1.019 * 24.7 * (4.37 * center / 1000 + 1), bins[1] / 2)
    expected = [(1 + ((f - center) / width) ** 2) ** -4 for f in bins]
    torch.testing.assert_close(
        filterbanks.filterbank_matrix(gammatone)[:, band], torch.tensor(expected)
    )
    constant = FrontEnd(filterbank="constant-q")
    below, center, above = filterbanks.center_frequencies(constant)[band - 1 : band + 2].tolist()
    expected = [
        max(
            0.0,
            1
            - (
                (center - f) / max(center - below, bins[1])
                if f < center
                else (f - center) / max(above - center, bins[1])
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
def test_effective_bins_band_without_a_bin_counts_as_one() -> None:
    narrow = FrontEnd(n_fft=512, win_length=400, hop_length=160, n_mels=128, f_min=20.0)
    assert (filterbanks.filterbank_matrix(narrow).sum(dim=0) == 0).any()
    bins = filterbanks.effective_bins(narrow)
    assert bins.isfinite().all() and (bins >= 1).all()


@pytest.mark.parametrize("name", filterbanks.FILTERBANKS)
def test_effective_bins_predict_the_spread_of_noise(name: str) -> None:
    front_end = FrontEnd(filterbank=name)
    noise = 0.3 * torch.randn(16000 * 20, generator=torch.Generator().manual_seed(0))
    spread = front_end(noise)[:, 20:-20].std(dim=1)
    expected = torch.polygamma(1, filterbanks.effective_bins(front_end)).sqrt()
    assert (
        float((spread / expected - 1).abs().median()) < 0.1
        and float((spread / expected - 1).abs().max()) < 0.25
    )


@pytest.mark.parametrize(("rate", "n_fft"), [(22050, 551), (16000, 401), (7999, 255), (8000, 256)])
def test_filterbank_matrix_of_an_odd_transform_equals_librosa(rate: int, n_fft: int) -> None:
    """The highest bin of an odd transform lies below half the rate; 25 ms are 551 samples."""
    sizes: dict[str, Any] = {
        "n_fft": n_fft,
        "win_length": n_fft,
        "hop_length": n_fft // 2,
        "n_mels": 20,
    }
    front_end = FrontEnd(sample_rate=rate, f_max=rate / 2, filterbank="librosa", **sizes)
    expected = torch.from_numpy(librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=20, fmin=50))
    torch.testing.assert_close(filterbanks.filterbank_matrix(front_end).T, expected)


@pytest.mark.parametrize("name", ["librosa", "gammatone", "constant-q"])
def test_band_of_a_tone_is_the_same_for_odd_and_even_transforms(name: str) -> None:
    sizes: dict[str, Any] = {"win_length": 400, "hop_length": 200, "n_mels": 20}
    odd, even = (FrontEnd(n_fft=n, filterbank=name, **sizes) for n in (4001, 4000))
    tone = torch.sin(2 * torch.pi * torch.arange(16000).double() * 7000 / 16000)
    torch.testing.assert_close(odd(tone)[:, 20:60], even(tone)[:, 20:60], atol=2e-3, rtol=0)


def test_filterbank_matrix_slaney_equals_librosa() -> None:
    front_end = FrontEnd(
        n_fft=512, win_length=400, hop_length=160, n_mels=40, f_min=60, filterbank="slaney"
    )
    expected = torch.from_numpy(
        librosa.filters.mel(sr=16000, n_fft=512, n_mels=40, fmin=60, fmax=8000)
    )
    torch.testing.assert_close(
        filterbanks.filterbank_matrix(front_end).T, expected, rtol=1e-3, atol=1e-6
    )
    tone: Tensor = torch.sin(
        2
        * torch.pi
        * torch.arange(16000)
        * float(filterbanks.center_frequencies(front_end)[1])
        / 16000
    )
    # With a Hann window, the two bins next to a tone add half of its power.
    assert float(front_end(tone).max()) == pytest.approx(front_end.value_range[1], abs=0.45)
