"""The front end: waveform to spectrogram, and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

from frami.audio import _torchaudio, filterbanks
from frami.core.errors import UsageError, unknown_name
from frami.core.settings import setting

SAMPLE_RATE_RANGE = (1000, 768_000)


@dataclass(frozen=True, kw_only=True)
class FrontEnd:
    """Settings of the spectrogram that a model takes; they are part of its bundle.

    Call a front end with a waveform to get the spectrogram.

    Attributes:
        sample_rate: Rate of the waveform, Hz.
        n_fft: Length of the Fourier transform, samples.
        win_length: Length of the Hann window, samples.
        hop_length: Distance between two frames, samples.
        n_mels: Number of bands F.
        f_min: Lower edge of the lowest band, Hz.
        f_max: Upper edge of the highest band, Hz.
        power_floor: Added to the power of each band before the natural logarithm; the waveform
            is in [-1, 1].
        mean: Subtracted from the logarithm.
        std: Divisor after the subtraction of ``mean``.
        repeat_seconds: A clip shorter than this, or than half an FFT, is repeated up to it, s.
        filterbank: ``mel``, ``slaney``, ``gammatone`` or ``constant-q``; see
            `frami.audio.filterbanks`.

    Raises:
        UsageError: The settings contradict each other or are out of range.
    """

    sample_rate: int = 16000
    n_fft: int = 1024
    win_length: int = 1024
    hop_length: int = 500
    n_mels: int = 64
    f_min: float = 50.0
    f_max: float = 8000.0
    power_floor: float = 1e-4
    mean: float = 0.0
    std: float = 1.0
    repeat_seconds: float = 0.25
    filterbank: str = setting("mel", "mel, slaney, gammatone, constant-q", omit_default=True)

    def __post_init__(self) -> None:
        if self.filterbank not in filterbanks.FILTERBANKS:
            raise unknown_name("filterbank", self.filterbank, filterbanks.FILTERBANKS)
        limits = {
            "sample_rate": SAMPLE_RATE_RANGE[1],
            "n_fft": 65_536,
            "win_length": self.n_fft,
            "hop_length": self.win_length,
            "n_mels": 1024,
        }
        possible = (
            all(1 <= getattr(self, name) <= limit for name, limit in limits.items())
            and 0 <= self.f_min < self.f_max <= self.sample_rate / 2
            and 0 <= self.repeat_seconds <= 3600
            and self.power_floor > 0
            and self.std > 0
            and math.isfinite(self.mean)
        )
        if not possible:
            raise UsageError(
                f"These settings do not make a front end: {self}. Lengths must be 1 or more, with "
                f"hop_length <= win_length <= n_fft and 0 <= f_min < f_max <= sample_rate / 2. "
                f"power_floor and std must be above 0. At most are allowed: n_fft 65,536, n_mels "
                f"1,024, sample_rate {SAMPLE_RATE_RANGE[1]:,}, repeat_seconds 3,600."
            )

    @property
    def unstandardized(self) -> FrontEnd:
        """This front end with mean 0 and std 1.

        Front ends that are equal in this form differ only in a shift and a scale.
        """
        return replace(self, mean=0.0, std=1.0)

    @property
    def value_range(self) -> tuple[float, float]:
        """Range of synthetic clips: the values of silence and of a full-scale sine.

        The sine lies on the center of a Fourier bin. A full-scale square wave is louder, by less
        than 1 in the natural logarithm.
        """
        sine_power = filterbanks.peak_gain(self) * (self.win_length / 4) ** 2 + self.power_floor
        low, high = (
            (math.log(power) - self.mean) / self.std for power in (self.power_floor, sine_power)
        )
        return low, high

    def n_frames(self, seconds: float) -> int:
        """Return the number of frames N of a clip of this length (s)."""
        return max(self._min_samples, round(seconds * self.sample_rate)) // self.hop_length + 1

    @property
    def _min_samples(self) -> int:
        """Length up to which a short waveform is repeated; half an FFT is mirrored at its ends."""
        return max(round(self.repeat_seconds * self.sample_rate), self.n_fft // 2 + 1)

    def seconds(self, n_frames: int) -> float:
        """Return the length (s) of a clip with this number of frames."""
        return (n_frames - 1) * self.hop_length / self.sample_rate

    def __call__(self, waveform: Tensor) -> Tensor:
        """Return the standardized log band powers ``(..., F, N)`` of a waveform ``(..., T)``."""
        if waveform.shape[-1] < self._min_samples:
            copies = -(-self._min_samples // max(1, waveform.shape[-1]))
            repeated = waveform.repeat(*[1] * (waveform.dim() - 1), copies)
            waveform = repeated[..., : self._min_samples]
        power = (_spectrogram(self)(waveform).transpose(-1, -2) @ _matrix(self)).transpose(-1, -2)
        return ((power + self.power_floor).log() - self.mean) / self.std

    def to_waveform(self, mel: Tensor, iterations: int = 64) -> Tensor:
        """Return a waveform ``(T,)`` whose spectrogram resembles ``mel`` (F, N).

        Multiplicative updates estimate the power of each Fourier bin, Griffin-Lim its phase. Least
        squares would also give negative powers; with those set to 0, the others are too loud. There
        is no randomness.

        Source: Lee and Seung, "Algorithms for Non-negative Matrix Factorization", NIPS 2000, eq. 5.
        """
        # Griffin-Lim mirrors half an FFT at the ends: a clip must be longer than that.
        mel = mel.repeat(1, -(-(self.n_fft // (2 * self.hop_length) + 2) // mel.shape[1]))
        power = ((mel.float() * self.std + self.mean).exp() - self.power_floor).clamp(min=0)
        matrix = _matrix(self)
        bins = torch.ones(len(matrix), mel.shape[1])
        for _ in range(iterations):
            update = matrix @ (power / (matrix.T @ bins).clamp(min=1e-10))
            bins *= update / matrix.sum(dim=1, keepdim=True).clamp(min=1e-10)
        griffin_lim = _torchaudio.transforms.GriffinLim(
            self.n_fft, iterations, self.win_length, self.hop_length, power=2.0, rand_init=False
        )
        waveform: Tensor = griffin_lim(bins)
        return waveform / waveform.abs().max().clamp(min=1.0)


@cache
def _spectrogram(front_end: FrontEnd) -> Callable[[Tensor], Tensor]:
    """Return the power spectrogram, waveforms ``(..., T)`` to ``(..., bins, N)``."""
    transform: Callable[[Tensor], Tensor] = _torchaudio.transforms.Spectrogram(
        front_end.n_fft, front_end.win_length, front_end.hop_length, power=2.0
    )
    return transform


@cache
def _matrix(front_end: FrontEnd) -> Tensor:
    return filterbanks.filterbank_matrix(front_end)
