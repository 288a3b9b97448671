"""What is done to a sound before it is mixed with others: it is cut, changed in pitch and tempo, faded and measured."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from frami.audio._torchaudio import functional


def trim_silence(waveform: Tensor, rate: int) -> Tensor:
    """Return a recording without the silence around it: what is 40 dB below its loudest 20 ms."""
    hop = max(1, rate // 50)
    levels = F.pad(waveform.square(), (0, -len(waveform) % hop)).view(-1, hop).mean(dim=1)
    heard = torch.nonzero(levels > 1e-4 * levels.max()).flatten()
    if not len(heard):
        return waveform
    return waveform[int(heard[0]) * hop : (int(heard[-1]) + 1) * hop]


def random_excerpt(sound: Tensor, length: int, rng: Generator) -> Tensor:
    """Return so many samples of a sound, from anywhere but its pauses: where it is within 10 dB of its loudest."""
    energy = F.pad(sound.double().square().cumsum(0), (1, 0))
    energy = energy[length:] - energy[:-length]
    loud = torch.nonzero(energy >= 0.1 * energy.max()).flatten()
    start = int(loud[int(torch.randint(len(loud), (), generator=rng))])
    return sound[start : start + length]


def shift_pitch_and_tempo(waveform: Tensor, semitones: float, tempo: float) -> Tensor:
    """Return a sound shifted in pitch and played faster (``tempo`` > 1) or slower, each without the other."""
    ratio = 2 ** (semitones / 12)
    if len(waveform) < 1024:
        return waveform
    window = torch.hann_window(512)
    spectrum = torch.stft(waveform, 512, 128, window=window, return_complex=True)
    advance = torch.linspace(0, torch.pi * 128, spectrum.shape[0])[:, None]
    stretched = functional.phase_vocoder(spectrum, tempo / ratio, advance)
    longer = torch.istft(stretched, 512, 128, window=window)
    size = max(1, round(len(longer) / ratio))
    return F.interpolate(
        longer.view(1, 1, -1), size=size, mode="linear", align_corners=False
    ).flatten()


def brownian_noise(length: int, rng: Generator) -> Tensor:
    """Return Brownian noise of level 1: its power falls by 6 dB an octave."""
    spectrum = torch.fft.rfft(torch.randn(length, generator=rng))
    spectrum /= torch.arange(len(spectrum)).clamp_min(20)
    noise = torch.fft.irfft(spectrum, n=length)
    return noise / rms(noise)


def fade(waveform: Tensor, rate: int) -> Tensor:
    """Return a sound that comes and goes within 10 ms instead of with a click."""
    length = min(len(waveform) // 2, rate // 100)
    ramp = torch.ones(len(waveform))
    ramp[:length] = torch.linspace(0, 1, length)
    ramp[len(waveform) - length :] = torch.linspace(1, 0, length)
    return waveform * ramp


def rms(waveform: Tensor) -> Tensor:
    """Return the root mean square of a sound, never 0."""
    return waveform.square().mean().sqrt().clamp_min(1e-6)
