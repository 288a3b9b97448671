"""Spectrograms as other libraries compute them, written with torch alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def power_spectrogram(
    waveform: Tensor, n_fft: int, win_length: int, hop: int, *, periodic: bool = True
) -> Tensor:
    """Return the power ``(B, bins, N)`` of waveforms ``(B, T)``, with centered Hann windows."""
    window = torch.hann_window(win_length, periodic=periodic, device=waveform.device)
    stft = torch.stft(waveform, n_fft, hop, win_length, window, return_complex=True)
    return stft.abs().square()


def mel_bands(
    rate: int, n_fft: int, bands: int, f_min: float, f_max: float, *, slaney: bool = False
) -> Tensor:
    """Return triangular filters ``(bins, bands)`` that are equally spaced on a mel scale.

    Args:
        rate: Sampling rate, Hz.
        n_fft: Length of the Fourier transform.
        bands: Number of filters.
        f_min: Lower edge, Hz.
        f_max: Upper edge, Hz.
        slaney: Slaney's scale and filters of equal area, as in librosa; otherwise the scale of HTK
            and filters of equal height, as in torchaudio.
    """
    to_mel, to_hz = (_slaney_mel, _slaney_hz) if slaney else (_htk_mel, _htk_hz)
    edges = to_hz(
        torch.linspace(
            float(to_mel(torch.tensor(f_min, dtype=torch.double))),
            float(to_mel(torch.tensor(f_max, dtype=torch.double))),
            bands + 2,
            dtype=torch.double,
        )
    )
    bins = torch.linspace(0, rate / 2, n_fft // 2 + 1, dtype=torch.double)
    rising = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    filters = torch.minimum(rising, falling).clamp(min=0)
    if slaney:
        filters = filters * (2 / (edges[2:] - edges[:-2]))
    return filters.float()


def _htk_mel(hz: Tensor) -> Tensor:
    return 2595 * torch.log10(1 + hz / 700)


def _htk_hz(mel: Tensor) -> Tensor:
    return 700 * (10 ** (mel / 2595) - 1)


def _slaney_mel(hz: Tensor) -> Tensor:
    above = 15 + 27 * torch.log(hz.clamp(min=1e-10) / 1000) / math.log(6.4)
    return torch.where(hz < 1000, hz * 3 / 200, above)


def _slaney_hz(mel: Tensor) -> Tensor:
    return torch.where(mel < 15, mel * 200 / 3, 1000 * torch.exp((mel - 15) * math.log(6.4) / 27))


def kaldi_bands(rate: int, n_fft: int, bands: int, f_min: float, f_max: float) -> Tensor:
    """Return Kaldi's filters ``(bins, bands)``: triangles in mel, the last bin without weight."""
    edges = torch.linspace(_kaldi_mel(f_min), _kaldi_mel(f_max), bands + 2, dtype=torch.double)
    hz = torch.arange(n_fft // 2, dtype=torch.double) * rate / n_fft
    mel = (1127 * torch.log(1 + hz / 700))[:, None]
    rising = (mel - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mel) / (edges[2:] - edges[1:-1])
    filters = torch.minimum(rising, falling).clamp(min=0)
    return functional.pad(filters, (0, 0, 0, 1)).float()


def _kaldi_mel(hz: float) -> float:
    return 1127 * math.log(1 + hz / 700)


def cosine_transform(coefficients: int, bands: int) -> Tensor:
    """Return the orthonormal DCT-II ``(coefficients, bands)`` that makes MFCC of log bands."""
    band = torch.arange(bands, dtype=torch.double) + 0.5
    order = torch.arange(coefficients, dtype=torch.double)[:, None]
    matrix = torch.cos(math.pi / bands * order * band) * math.sqrt(2 / bands)
    matrix[0] /= math.sqrt(2)
    return matrix.float()
