"""A waveform from a spectrogram, with gradient, for classifiers that take the waveform itself."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from frami.audio import filterbanks
from frami.audio.frontend import FrontEnd

SMALLEST_POWER = 1e-10  # keeps the gradient of the root finite
GOLDEN_RATIO = (1 + math.sqrt(5)) / 2


def render_waveform(front_end: FrontEnd, mel: Tensor) -> Tensor:
    """Return waveforms ``(B, T)`` of standardized spectrograms ``(B, F, N)``, with gradient.

    The power of a band is spread over its Fourier bins as in a flat spectrum. A spectrogram has no
    phases, so each bin advances at the frequency of its center from a fixed first phase; there is
    no randomness. The first phases grow with the square of the bin times the golden ratio, which
    spreads them evenly: neighboring bins then interfere as little as those of a noise.
    """
    matrix = filterbanks.filterbank_matrix(front_end).to(mel.device)
    power = ((mel.float() * front_end.std + front_end.mean).exp() - front_end.power_floor).clamp(0)
    share = matrix / matrix.sum(dim=1, keepdim=True).clamp_min(1e-10)
    per_bin = share / matrix.sum(dim=0).clamp_min(1e-10)
    magnitude = (per_bin @ power).clamp_min(SMALLEST_POWER).sqrt()
    bins, n_frames = magnitude.shape[-2:]
    index = torch.arange(bins, device=mel.device, dtype=torch.float64).unsqueeze(1)
    frame = torch.arange(n_frames, device=mel.device, dtype=torch.float64)
    advance = index * front_end.hop_length / front_end.n_fft * frame
    phase = 2 * math.pi * (advance % 1 + (GOLDEN_RATIO / 2 * index * index) % 1)
    return torch.istft(
        torch.polar(magnitude, phase.float().expand_as(magnitude)),
        front_end.n_fft,
        front_end.hop_length,
        front_end.win_length,
        window=torch.hann_window(front_end.win_length, device=mel.device),
        length=(n_frames - 1) * front_end.hop_length,
    )
