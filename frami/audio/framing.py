"""From a waveform to the spectrum of its frames: repetition, pre-emphasis, windows, padding."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType

import torch
from torch import Tensor

from frami.audio.front_end_settings import Settings

PADDINGS = ("reflect", "zeros", "none")

# Length and type to window. Windows for spectra are periodic unless their name says otherwise.
WINDOWS: Mapping[str, Callable[[int, torch.dtype], Tensor]] = MappingProxyType(
    {
        "hann": lambda length, dtype: torch.hann_window(length, dtype=dtype),
        "hann-symmetric": lambda length, dtype: torch.hann_window(length, False, dtype=dtype),
        "hamming": lambda length, dtype: torch.hamming_window(length, dtype=dtype),
        "hamming-symmetric": lambda length, dtype: torch.hamming_window(length, False, dtype=dtype),
        "povey": lambda length, dtype: torch.hann_window(length, False, dtype=dtype).pow(0.85),
        "rectangular": lambda length, dtype: torch.ones(length, dtype=dtype),
    }
)


@cache
@torch.inference_mode(False)  # what is made in that mode is of no use for gradients
def make_window(name: str, length: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return a window of `WINDOWS`, ``(length,)``."""
    return WINDOWS[name](length, dtype)


def first_frame(settings: Settings) -> int:
    """Return the number of samples that the first frame needs, where padding does not add them.

    A clip of ``T`` samples has ``(T - first_frame) // hop_length + 1`` frames.
    """
    # Half an FFT of odd length, on both sides, is one sample less than an FFT.
    first = settings.win_length if settings.padding == "none" else settings.n_fft % 2
    first += settings.hop_length * settings.drop_last_frame
    return first + (settings.pre_emphasis != 0)


def least_samples(settings: Settings) -> int:
    """Return the length (samples) up to which a short waveform is repeated.

    Beyond ``repeat_seconds``, a clip is repeated only if it has no frame otherwise: half an FFT is
    mirrored at its ends, and without padding a frame is one window long.
    """
    needed = settings.n_fft // 2 + 1 if settings.padding == "reflect" else 1
    if settings.padding == "reflect" and settings.pre_emphasis:
        needed += 1
    repeated = round(settings.repeat_seconds * settings.sample_rate)
    return max(repeated, needed, first_frame(settings))


def repeat_to(waveform: Tensor, n_samples: int) -> Tensor:
    """Return a waveform ``(..., T)``, repeated up to ``n_samples`` if it is shorter."""
    if waveform.shape[-1] >= n_samples:
        return waveform
    copies = -(-n_samples // max(1, waveform.shape[-1]))
    return waveform.repeat(*[1] * (waveform.dim() - 1), copies)[..., :n_samples]


def spectrum(settings: Settings, waveform: Tensor) -> Tensor:
    """Return the magnitudes of the frames to the power ``power``, ``(..., bins, N)``.

    Args:
        settings: Front end.
        waveform: Waveform ``(..., T)``; a short one is repeated.
    """
    samples = _prepare(settings, repeat_to(waveform, least_samples(settings)))
    window = make_window(settings.window, settings.win_length, samples.dtype).to(samples.device)
    framed = _spectrum_of_frames if settings.padding == "none" else _centered_spectrum
    transform = framed(settings, samples, window)
    return transform[..., :-1] if settings.drop_last_frame else transform


def _prepare(settings: Settings, waveform: Tensor) -> Tensor:
    """Return the waveform scaled and pre-emphasized."""
    if settings.normalize_peak:
        peak = waveform.amax(dim=-1, keepdim=True)
        waveform = waveform / torch.where(peak > 0, peak, torch.ones_like(peak))
    if settings.waveform_scale != 1:
        waveform = waveform * settings.waveform_scale
    if settings.pre_emphasis:
        waveform = waveform[..., 1:] - settings.pre_emphasis * waveform[..., :-1]
    return waveform


def _centered_spectrum(settings: Settings, samples: Tensor, window: Tensor) -> Tensor:
    """Return the spectrum of frames that are centered on multiples of the hop."""
    transform = torch.stft(
        samples.reshape(-1, samples.shape[-1]),
        settings.n_fft,
        settings.hop_length,
        settings.win_length,
        window,
        pad_mode="reflect" if settings.padding == "reflect" else "constant",
        return_complex=True,
    )
    shape = (*samples.shape[:-1], *transform.shape[-2:])
    return transform.reshape(shape).abs().pow(settings.power)


def _spectrum_of_frames(settings: Settings, samples: Tensor, window: Tensor) -> Tensor:
    """Return the spectrum of the frames that lie within the clip, as Kaldi computes it."""
    frames = samples.unfold(-1, settings.win_length, settings.hop_length)
    if settings.remove_dc:
        frames = frames - frames.mean(dim=-1, keepdim=True)
    if settings.frame_pre_emphasis:
        previous = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
        frames = frames - settings.frame_pre_emphasis * previous
    transform = torch.fft.rfft(frames * window, settings.n_fft)
    magnitude: Tensor = transform.abs()
    return magnitude.pow(settings.power).transpose(-1, -2)


def sine_magnitude(settings: Settings) -> float:
    """Return the magnitude of a full-scale sine at the center of a bin, at most."""
    if settings.window == "hann":
        half_sum = settings.win_length / 4
    else:
        window = make_window(settings.window, settings.win_length, torch.float64)
        half_sum = float(window.sum()) / 2
    gain = float(emphasis(settings, torch.tensor([settings.f_max])))
    return half_sum * settings.waveform_scale * gain


def emphasis(settings: Settings, hertz: Tensor) -> Tensor:
    """Return the gain of the magnitude by pre-emphasis at some frequencies (Hz)."""
    angle = 2 * math.pi * hertz / settings.sample_rate
    gain = torch.ones_like(angle)
    for factor in (settings.pre_emphasis, settings.frame_pre_emphasis):
        if factor:
            gain = gain * (1 + factor**2 - 2 * factor * angle.cos()).sqrt()
    return gain
