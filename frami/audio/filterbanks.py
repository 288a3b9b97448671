"""What gathers the Fourier bins of a frame into bands: on a mel scale, as gammatone filters, or of constant Q.

Each is a matrix of non-negative weights ``(bins, F)`` for the *power* of each bin. Filters have a peak of about 1, but for
those of ``slaney``, which have equal areas: they are the mel bands that librosa gives by default.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from frami.audio import _torchaudio

if TYPE_CHECKING:
    from frami.audio.frontend import FrontEnd


def filterbank_matrix(front_end: FrontEnd) -> Tensor:
    """Return the weight of each Fourier bin in each band of a front end, ``(bins, F)``."""
    return FILTERBANKS[front_end.filterbank][1](front_end)


def center_frequencies(front_end: FrontEnd) -> Tensor:
    """Return the centre frequency of each band of a front end (Hz), ``(F,)``, rising."""
    to, back = FILTERBANKS[front_end.filterbank][0]
    low, high = (
        to(torch.tensor(edge, dtype=torch.float64)) for edge in (front_end.f_min, front_end.f_max)
    )
    return back(
        torch.linspace(float(low), float(high), front_end.n_mels + 2, dtype=torch.float64)[1:-1]
    )


def peak_gain(front_end: FrontEnd) -> float:
    """Return how much of a tone's power the band on it has at most."""
    # Where a centre lies between two bins, the others' peaks are a little lower than 1; that is passed over.
    return float(filterbank_matrix(front_end).max()) if front_end.filterbank == "slaney" else 1.0


def effective_bins(front_end: FrontEnd) -> Tensor:
    """Return how many independent powers each band is as steady as the mean of, ``(F,)``, 1 or more.

    The power of noise in a band follows a gamma distribution of about this shape. Neighbouring bins are not independent:
    through a Hann window, the powers of noise in them correlate by (2/3)^2, in the next but one by (1/6)^2.
    """
    weight = filterbank_matrix(front_end)
    shared = weight.square().sum(dim=0)
    for distance, correlation in ((1, 4 / 9), (2, 1 / 36)):
        shared = shared + 2 * correlation * (weight[distance:] * weight[:-distance]).sum(dim=0)
    # A band narrower than a bin may have none.
    return (weight.sum(dim=0).square() / shared.clamp_min(1e-12)).clamp_min(1.0)


def _mel(front_end: FrontEnd) -> Tensor:
    return _torchaudio.functional.melscale_fbanks(
        front_end.n_fft // 2 + 1,
        front_end.f_min,
        front_end.f_max,
        front_end.n_mels,
        front_end.sample_rate,
    )


def _slaney(front_end: FrontEnd) -> Tensor:
    """Return mel bands of equal area, on a scale that is linear up to 1 kHz.

    Source: Slaney, "Auditory Toolbox", version 2, Interval Research Technical Report 1998-010.
    """
    return _torchaudio.functional.melscale_fbanks(
        front_end.n_fft // 2 + 1,
        front_end.f_min,
        front_end.f_max,
        front_end.n_mels,
        front_end.sample_rate,
        norm="slaney",
        mel_scale="slaney",
    )


def _slaney_mels(hz: Tensor) -> Tensor:
    return torch.where(hz < 1000, hz * 0.015, 15 + 27 * (hz / 1000).log() / math.log(6.4))


def _gammatone(front_end: FrontEnd) -> Tensor:
    """Return the power response of gammatone filters of order 4, one equivalent rectangular bandwidth wide.

    Source: Slaney, "An Efficient Implementation of the Patterson-Holdsworth Auditory Filter Bank", Apple TR 35, 1993.
    Differs: the response is applied to Fourier bins, so bands are no narrower than one.
    """
    centre = center_frequencies(front_end)
    width = (1.019 * 24.7 * (4.37e-3 * centre + 1)).clamp_min(_spacing(front_end) / 2)
    return (1 + ((_bins(front_end) - centre) / width) ** 2).pow(-4).float()


def _constant_q(front_end: FrontEnd) -> Tensor:
    """Return triangles that reach to the neighbouring centres, which lie at one ratio from each other.

    Source: after Brown, "Calculation of a Constant Q Spectral Transform", J. Acoust. Soc. Am. 89, 1991. Differs: all
    bands are from one Fourier transform, so those at low frequencies are no narrower than a bin.
    """
    centre = center_frequencies(front_end)
    ratio = float(centre[1] / centre[0]) if len(centre) > 1 else 2.0
    below = (centre * (1 - 1 / ratio)).clamp_min(_spacing(front_end))
    above = (centre * (ratio - 1)).clamp_min(_spacing(front_end))
    away = _bins(front_end) - centre
    return (1 - torch.where(away < 0, -away / below, away / above)).clamp_min(0).float()


def _bins(front_end: FrontEnd) -> Tensor:
    """Return the frequency of each Fourier bin (Hz), ``(bins, 1)``."""
    return torch.linspace(
        0, front_end.sample_rate / 2, front_end.n_fft // 2 + 1, dtype=torch.float64
    ).unsqueeze(1)


def _spacing(front_end: FrontEnd) -> float:
    return front_end.sample_rate / front_end.n_fft


# A scale, from Hz and back, on which the centres are evenly spaced; and the matrix.
Scale = tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]
FILTERBANKS: Mapping[str, tuple[Scale, Callable[[FrontEnd], Tensor]]] = MappingProxyType(
    {
        "mel": (
            (lambda hz: 2595 * (1 + hz / 700).log10(), lambda mel: 700 * (10 ** (mel / 2595) - 1)),
            _mel,
        ),
        "slaney": (
            (
                _slaney_mels,
                lambda mel: torch.where(mel < 15, mel / 0.015, 1000 * 6.4 ** ((mel - 15) / 27)),
            ),
            _slaney,
        ),
        "gammatone": (
            (
                lambda hz: 21.4 * (1 + 4.37e-3 * hz).log10(),
                lambda erb: (10 ** (erb / 21.4) - 1) / 4.37e-3,
            ),
            _gammatone,
        ),
        "constant-q": (
            (lambda hz: hz.clamp_min(20.0).log2(), torch.exp2),
            _constant_q,
        ),
    }
)
