"""Prepare sounds for a mix: trim, excerpt, pitch and tempo shift, fades, noise and level."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from frami.audio._torchaudio import functional


def trim_silence(waveform: Tensor, rate: int) -> Tensor:
    """Return a recording without silence at its start and end.

    Silence is 40 dB below the loudest 20 ms.
    """
    hop = max(1, rate // 50)
    levels = F.pad(waveform.square(), (0, -len(waveform) % hop)).view(-1, hop).mean(dim=1)
    loud = torch.nonzero(levels > 1e-4 * levels.max()).flatten()
    if not len(loud):
        return waveform
    return waveform[int(loud[0]) * hop : (int(loud[-1]) + 1) * hop]


def random_excerpt(sound: Tensor, length: int, rate: int, rng: Generator) -> Tensor:
    """Return a random excerpt of a sound that starts and ends where the sound is loud.

    Loud is a place whose 20 ms are within 20 dB of the loudest 20 ms. The excerpt is within 10 dB
    of the loudest one, and may have pauses inside.

    Args:
        sound: Sound ``(T,)``. It is repeated if it is too short for an excerpt.
        length: Samples of the excerpt. It has fewer if it would end in a pause wherever it starts.
        rate: Sample rate in Hz.
        rng: Random numbers.
    """
    repeated = sound.repeat(1 + -(-length // len(sound)))
    window = min(length, max(1, rate // 50))
    level = _window_energy(repeated, window)
    loud = level >= 0.01 * level.max()
    energy = _window_energy(repeated, length)
    starts = torch.arange(len(energy))
    choice = loud[: len(starts)] & (energy >= 0.1 * energy.max())
    inside, loud_end = starts + length <= len(sound), loud[length - window :]
    for preferred in (inside, loud_end):
        if bool((choice & preferred).any()):
            choice = choice & preferred
    places = torch.nonzero(choice).flatten()
    start = int(places[int(torch.randint(len(places), (), generator=rng))])
    last = int(torch.nonzero(loud[start : start + length - window + 1])[-1])
    return repeated[start : start + last + window]


def _window_energy(sound: Tensor, window: int) -> Tensor:
    """Return the energy of the ``window`` samples from each place on, ``(T - window + 1,)``."""
    energy = F.pad(sound.double().square().cumsum(0), (1, 0))
    return energy[window:] - energy[:-window]


def shift_pitch_and_tempo(waveform: Tensor, semitones: float, tempo: float) -> Tensor:
    """Return a sound with its pitch and its tempo changed, independently of each other.

    Differs: torchaudio's ``pitch_shift`` needs an integer ratio of sample rates; this one does not.

    Args:
        waveform: Sound ``(T,)``; one shorter than 1024 samples is returned unchanged.
        semitones: Shift of the pitch.
        tempo: Speed: above 1 is faster.
    """
    pitch_ratio = 2 ** (semitones / 12)
    if len(waveform) < 1024:
        return waveform
    window = torch.hann_window(512)
    spectrum = torch.stft(waveform, 512, 128, window=window, return_complex=True)
    advance = torch.linspace(0, torch.pi * 128, spectrum.shape[0])[:, None]
    stretched = functional.phase_vocoder(spectrum, tempo / pitch_ratio, advance)
    longer = torch.istft(stretched, 512, 128, window=window)
    size = max(1, round(len(longer) / pitch_ratio))
    shifted: Tensor = F.interpolate(
        longer.view(1, 1, -1), size=size, mode="linear", align_corners=False
    )
    return shifted.flatten()


def brownian_noise(length: int, rng: Generator) -> Tensor:
    """Return Brownian noise with a root mean square of 1; its power falls by 6 dB per octave."""
    spectrum = torch.fft.rfft(torch.randn(length, generator=rng))
    spectrum /= torch.arange(len(spectrum)).clamp_min(20)
    noise: Tensor = torch.fft.irfft(spectrum, n=length)
    return noise / rms(noise)


def fade(waveform: Tensor, rate: int) -> Tensor:
    """Return a sound with a fade of 10 ms at its start and end, to avoid clicks."""
    length = min(len(waveform) // 2, rate // 100)
    ramp = torch.ones(len(waveform))
    ramp[:length] = torch.linspace(0, 1, length)
    ramp[len(waveform) - length :] = torch.linspace(1, 0, length)
    return waveform * ramp


def rms(waveform: Tensor) -> Tensor:
    """Return the root mean square of a sound, at least 1e-6."""
    return waveform.square().mean().sqrt().clamp_min(1e-6)
