"""From band powers back to a waveform."""

from __future__ import annotations

import torch
from torch import Tensor

from frami.audio import _torchaudio, framing
from frami.audio.front_end_settings import Settings
from frami.core.errors import UsageError
from frami.core.memory import raise_if_full

# A clip may come from a stranger: a few of its values must not stand for any amount of sound.
MOST_VALUES, MOST_VALUES_PER_ROW = 1 << 25, 256
LEAST_EMPHASIS = 0.05  # of pre-emphasis; a smaller gain is not undone, which would amplify noise


def repeat_frames(settings: Settings, mel: Tensor) -> Tensor:
    """Return a spectrogram ``(F, N)``, repeated in time if it is too short to be inverted.

    Griffin-Lim mirrors half an FFT at the ends: a clip must be longer than that.
    """
    return mel.repeat(1, -(-(settings.n_fft // (2 * settings.hop_length) + 2) // mel.shape[1]))


def waveform_of(settings: Settings, power: Tensor, matrix: Tensor, iterations: int) -> Tensor:
    """Return a waveform ``(T,)`` whose band powers resemble ``power`` (bands, N).

    Raises:
        UsageError: The waveform would take too much memory, or there is none.
    """
    values = settings.n_fft * power.shape[1]
    if values > MOST_VALUES or settings.n_fft > MOST_VALUES_PER_ROW * settings.n_mels:
        raise UsageError(
            f"A clip of {power.shape[1]:,} frames of {settings.n_mels} rows, with an FFT of "
            f"{settings.n_fft:,}, is too large to be turned into sound."
        )
    try:
        waveform = _waveform_of(settings, power, matrix, iterations)
    except RuntimeError as error:  # such as windows that do not overlap
        raise_if_full(error)
        reason = str(error).partition("\n")[0]
        raise UsageError(f"The front end has no inverse ({reason}).") from error
    if not bool(waveform.isfinite().all()):
        raise UsageError("A clip has no sound: its values lead to NaN or infinity.")
    return waveform


def _waveform_of(settings: Settings, power: Tensor, matrix: Tensor, iterations: int) -> Tensor:
    """Return the waveform, from an estimate of the bins and of their phase.

    Multiplicative updates estimate the power of each Fourier bin, Griffin-Lim its phase. Least
    squares would also give negative powers; with those set to 0, the others are too loud.

    Source: Lee and Seung, "Algorithms for Non-negative Matrix Factorization", NIPS 2000, eq. 5.

    Args:
        settings: Front end.
        power: Power of each band, or its magnitude if the front end takes magnitudes.
        matrix: Weight of each bin in each band, ``(bins, bands)``.
        iterations: Number of updates, of the bins and of the phase.
    """
    bins = torch.ones(len(matrix), power.shape[1])
    for _ in range(iterations):
        update = matrix @ (power / (matrix.T @ bins).clamp(min=1e-10))
        bins *= update / matrix.sum(dim=1, keepdim=True).clamp(min=1e-10)
    griffin_lim = _torchaudio.transforms.GriffinLim(
        settings.n_fft,
        iterations,
        settings.win_length,
        settings.hop_length,
        window_fn=lambda length: framing.make_window(settings.window, length),
        power=settings.power,
        rand_init=False,
    )
    waveform: Tensor = griffin_lim(bins / gain(settings, len(matrix)))
    if settings.padding == "none":  # the first frame begins, and is not centered, at the start
        half = settings.win_length // 2
        waveform = torch.nn.functional.pad(waveform, (half, settings.win_length - half))
    return waveform / waveform.abs().max().clamp(min=1.0)


def gain(settings: Settings, n_bins: int) -> Tensor:
    """Return the gain of each bin by the scale and the pre-emphasis, ``(bins, 1)``."""
    hertz = torch.linspace(0, settings.sample_rate / 2, n_bins)
    emphasis = framing.emphasis(settings, hertz).clamp_min(LEAST_EMPHASIS)
    return (emphasis * settings.waveform_scale).pow(settings.power).unsqueeze(1)
