"""Filterbanks: combine Fourier bins into mel, gammatone or constant-Q bands.

A filterbank is a matrix of non-negative weights ``(bins, F)`` for the *power* of each bin, or for
its magnitude if the front end takes magnitudes. Filters have a peak of 1, but between two bins. The
highest weight of a band that is hardly wider than a bin can be 0.6. Filters of ``slaney`` and
``librosa`` have equal areas instead; they are librosa's default mel bands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from frami.audio import _torchaudio, framing
from frami.audio.front_end_settings import Settings
from frami.core.errors import UsageError


@dataclass(frozen=True)
class Filterbank:
    """A filterbank.

    Attributes:
        to_scale: Frequency (Hz) to the scale on which the centers are evenly spaced.
        to_hz: The inverse of ``to_scale``.
        matrix: Front end to weights ``(bins, F)``.
    """

    to_scale: Callable[[Tensor], Tensor]
    to_hz: Callable[[Tensor], Tensor]
    matrix: Callable[[Settings], Tensor]


def filterbank_matrix(front_end: Settings) -> Tensor:
    """Return the weight of each Fourier bin in each band of a front end, ``(bins, F)``.

    Raises:
        UsageError: Bands have no width, because ``f_min`` and ``f_max`` are too close.
    """
    matrix = FILTERBANKS[front_end.filterbank].matrix(front_end)
    if not bool(matrix.isfinite().all()):
        raise UsageError(
            f"f_min {front_end.f_min:g} and f_max {front_end.f_max:g} are too close: some of the "
            f"{front_end.n_bands} bands between them have no width. Choose fewer bands, or a "
            f"wider range."
        )
    return matrix


def center_frequencies(front_end: Settings) -> Tensor:
    """Return the center frequency of each band of a front end (Hz), ``(F,)``, ascending."""
    bank = FILTERBANKS[front_end.filterbank]
    edges = torch.tensor([front_end.f_min, front_end.f_max], dtype=torch.float64)
    low, high = bank.to_scale(edges).tolist()
    centers = torch.linspace(low, high, front_end.n_bands + 2, dtype=torch.float64)[1:-1]
    return bank.to_hz(centers)


def peak_gain(front_end: Settings) -> float:
    """Return the largest weight of a bin in any band."""
    if front_end.filterbank in ("slaney", "librosa"):
        return float(filterbank_matrix(front_end).max())
    # Slightly too high where every center lies between two bins; the difference is ignored.
    return 1.0


def effective_bins(front_end: Settings) -> Tensor:
    """Return the effective number of independent Fourier bins per band, ``(F,)``, at least 1.

    The power of white noise in a band follows a gamma distribution with about this shape parameter.
    Neighboring bins are not independent: with a Hann window, the noise powers of adjacent bins have
    a correlation of (2/3)^2, and those of bins at a distance of two (1/6)^2. Magnitudes vary less
    than powers, and count as more bins.
    """
    weights = filterbank_matrix(front_end)
    variance = weights.square().sum(dim=0)
    for distance, correlation in enumerate(_bin_correlations(front_end), 1):
        products = weights[distance:] * weights[:-distance]
        variance = variance + 2 * correlation * products.sum(dim=0)
    # A band that is narrower than a bin may have no bin at all.
    bins = (weights.sum(dim=0).square() / variance.clamp_min(1e-12)).clamp_min(1.0)
    if front_end.power == 2:
        return bins
    half = front_end.power / 2
    return bins / (math.gamma(1 + front_end.power) / math.gamma(1 + half) ** 2 - 1)


def _bin_correlations(front_end: Settings) -> list[float]:
    """Return the correlations of the noise powers of bins at a distance of 1, 2, ..."""
    if front_end.window == "hann":
        return [4 / 9, 1 / 36]
    window = framing.make_window(front_end.window, front_end.win_length, torch.float64)
    transform = torch.fft.rfft(window.square(), front_end.n_fft).abs()
    correlations = (transform / transform[0]).square()[1:]
    # They fall with the distance; small ones are left out.
    return [value for value in correlations[:8].tolist() if value > 1e-3]


def _mel(front_end: Settings) -> Tensor:
    return _melscale_matrix(front_end)


def _slaney(front_end: Settings) -> Tensor:
    """Return mel bands of equal area, on a scale that is linear up to 1 kHz.

    Source: Slaney, "Auditory Toolbox", version 2, Interval Research Technical Report 1998-010.
    """
    return _melscale_matrix(front_end, norm="slaney", mel_scale="slaney")


def _kaldi(front_end: Settings) -> Tensor:
    """Return triangles on the mel scale, as Kaldi and TensorFlow compute them.

    The sides of the filters of ``mel`` are straight lines over Hz; these are straight over mel.
    """
    banks, _ = _torchaudio.kaldi.get_mel_banks(
        front_end.n_bands,
        front_end.n_fft,
        float(front_end.sample_rate),
        front_end.f_min,
        front_end.f_max,
        100.0,  # the frequencies of a warp that does not take place
        -500.0,
        1.0,
    )
    return torch.nn.functional.pad(banks, (0, 1)).T.contiguous()


def _speechbrain(front_end: Settings) -> Tensor:
    """Return triangles that are symmetric over Hz, as SpeechBrain computes them.

    Both sides of a filter are as wide as the distance to the center below. Rounded to float32
    where SpeechBrain rounds: a narrow filter may hold the foot of its triangle alone.
    """
    low, high = _hz_to_mel(torch.tensor([front_end.f_min, front_end.f_max], dtype=torch.float64))
    hertz = _mel_to_hz(torch.linspace(float(low), float(high), front_end.n_bands + 2))
    bins = torch.linspace(0, front_end.sample_rate // 2, front_end.n_fft // 2 + 1).unsqueeze(1)
    return (1 - ((bins - hertz[1:-1]) / (hertz[1:-1] - hertz[:-2])).abs()).clamp_min(0)


def _librosa(front_end: Settings) -> Tensor:
    """Return the bands of ``slaney`` in double precision, as librosa computes them.

    A band's weights differ from those of ``slaney`` by up to 5e-6 of its peak. That counts where
    the foot of a triangle lies on a loud bin.
    """
    scale = FILTERBANKS["librosa"]
    edges = torch.tensor([front_end.f_min, front_end.f_max], dtype=torch.float64)
    low, high = scale.to_scale(edges).tolist()
    hertz = scale.to_hz(torch.linspace(low, high, front_end.n_bands + 2, dtype=torch.float64))
    below, center, above = hertz[:-2], hertz[1:-1], hertz[2:]
    bins = _bin_frequencies(front_end)
    rising, falling = (bins - below) / (center - below), (above - bins) / (above - center)
    triangles = torch.minimum(rising, falling).clamp_min(0).float()
    return (triangles * (2 / (above - below))).float()


def _melscale_matrix(front_end: Settings, **options: str) -> Tensor:
    matrix: Tensor = _torchaudio.functional.melscale_fbanks(
        front_end.n_fft // 2 + 1,
        front_end.f_min,
        front_end.f_max,
        front_end.n_bands,
        front_end.sample_rate,
        **options,
    )
    return matrix


def _gammatone(front_end: Settings) -> Tensor:
    """Return the power response of gammatone filters of order 4.

    The filters are one equivalent rectangular bandwidth wide.

    Source: Slaney, "An Efficient Implementation of the Patterson-Holdsworth Auditory Filter Bank",
    Apple TR 35, 1993. Differs: the response is applied to Fourier bins, so no band is narrower than
    one bin.
    """
    center = center_frequencies(front_end)
    width = (1.019 * 24.7 * (4.37e-3 * center + 1)).clamp_min(_bin_spacing(front_end) / 2)
    return (1 + ((_bin_frequencies(front_end) - center) / width) ** 2).pow(-4).float()


def _constant_q(front_end: Settings) -> Tensor:
    """Return triangular filters between neighboring centers, which have a constant ratio.

    Source: after Brown, "Calculation of a Constant Q Spectral Transform", J. Acoust. Soc. Am. 89,
    1991. Differs: all bands use the same Fourier transform, so bands at low frequencies are not
    narrower than one bin.
    """
    center = center_frequencies(front_end)
    ratio = float(center[1] / center[0]) if len(center) > 1 else 2.0
    below = (center * (1 - 1 / ratio)).clamp_min(_bin_spacing(front_end))
    above = (center * (ratio - 1)).clamp_min(_bin_spacing(front_end))
    distance = _bin_frequencies(front_end) - center
    relative = torch.where(distance < 0, -distance / below, distance / above)
    return (1 - relative).clamp_min(0).float()


def _bin_frequencies(front_end: Settings) -> Tensor:
    """Return the frequency of each Fourier bin (Hz), ``(bins, 1)``."""
    n_bins = front_end.n_fft // 2 + 1
    highest = (n_bins - 1) * front_end.sample_rate / front_end.n_fft  # of odd n_fft, below half
    return torch.linspace(0, highest, n_bins, dtype=torch.float64).unsqueeze(1)


def _bin_spacing(front_end: Settings) -> float:
    return front_end.sample_rate / front_end.n_fft


def _hz_to_slaney(hz: Tensor) -> Tensor:
    return torch.where(hz < 1000, hz * 0.015, 15 + 27 * (hz / 1000).log() / math.log(6.4))


def _slaney_to_hz(mel: Tensor) -> Tensor:
    return torch.where(mel < 15, mel / 0.015, 1000 * 6.4 ** ((mel - 15) / 27))


def _hz_to_mel(hz: Tensor) -> Tensor:
    return 2595 * (1 + hz / 700).log10()


def _mel_to_hz(mel: Tensor) -> Tensor:
    return 700 * (10 ** (mel / 2595) - 1)


FILTERBANKS: Mapping[str, Filterbank] = MappingProxyType(
    {
        "mel": Filterbank(_hz_to_mel, _mel_to_hz, _mel),
        "slaney": Filterbank(_hz_to_slaney, _slaney_to_hz, _slaney),
        "gammatone": Filterbank(
            to_scale=lambda hz: 21.4 * (1 + 4.37e-3 * hz).log10(),
            to_hz=lambda erb: (10 ** (erb / 21.4) - 1) / 4.37e-3,
            matrix=_gammatone,
        ),
        "constant-q": Filterbank(
            to_scale=lambda hz: hz.clamp_min(20.0).log2(), to_hz=torch.exp2, matrix=_constant_q
        ),
        "librosa": Filterbank(_hz_to_slaney, _slaney_to_hz, _librosa),
        "kaldi": Filterbank(_hz_to_mel, _mel_to_hz, _kaldi),
        "speechbrain": Filterbank(_hz_to_mel, _mel_to_hz, _speechbrain),
    }
)
