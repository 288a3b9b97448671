"""A waveform from a spectrogram, with gradient, for classifiers that take the waveform itself."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from frami.audio import compression, filterbanks, framing, inverse
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
    power = compression.expand(front_end, mel.float() * front_end.std + front_end.mean)
    share = matrix / matrix.sum(dim=1, keepdim=True).clamp_min(1e-10)
    per_bin = share / matrix.sum(dim=0).clamp_min(1e-10)
    power = per_bin @ power / inverse.gain(front_end, len(matrix)).to(mel.device)
    magnitude = power.clamp_min(SMALLEST_POWER) ** (1 / front_end.power)
    bins, n_frames = magnitude.shape[-2:]
    index = torch.arange(bins, device=mel.device, dtype=torch.float64).unsqueeze(1)
    frame = torch.arange(n_frames, device=mel.device, dtype=torch.float64)
    advance = index * front_end.hop_length / front_end.n_fft * frame
    phase = 2 * math.pi * (advance % 1 + (GOLDEN_RATIO / 2 * index * index) % 1)
    waveform = torch.istft(
        torch.polar(magnitude, phase.float().expand_as(magnitude)),
        front_end.n_fft,
        front_end.hop_length,
        front_end.win_length,
        window=framing.make_window(front_end.window, front_end.win_length).to(mel.device),
    )
    # Frames of some front ends begin at the start, and are not centered on it.
    before = front_end.win_length // 2 if front_end.padding == "none" else 0
    after = samples_of(front_end, n_frames) - before - waveform.shape[1]
    return torch.nn.functional.pad(waveform, (before, after))


def samples_of(front_end: FrontEnd, n_frames: int) -> int:
    """Return the length of a waveform with a number of frames."""
    return max(1, round(front_end.seconds(n_frames) * front_end.sample_rate))
