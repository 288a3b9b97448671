"""Files, resampling, the front end, and the way back to sound."""

from __future__ import annotations

import math
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
    """What turns a waveform into the spectrogram that a model hears; it travels in the model's bundle.

    Attributes:
        sample_rate: Rate of the waveform, Hz.
        n_fft: Length of the Fourier transform, samples.
        win_length: Length of the Hann window, samples.
        hop_length: Distance of two frames, samples.
        n_mels: Number of bands F.
        f_min: Lower edge of the lowest band, Hz.
        f_max: Upper edge of the highest band, Hz.
        power_floor: Added to each band's power before the natural logarithm; the power is that of a waveform in [-1, 1].
        mean: Subtracted from the logarithm.
        std: What it is then divided by.
        repeat_seconds: A clip shorter than this, or than half an FFT, is repeated up to it, s.
        filterbank: A name of `frami.filterbanks`: ``mel``, ``slaney``, ``gammatone`` or ``constant-q``.
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
        largest = {
            "sample_rate": SAMPLE_RATE_RANGE[1],
            "n_fft": 65_536,
            "win_length": self.n_fft,
            "hop_length": self.win_length,
            "n_mels": 1024,
        }
        possible = all(1 <= getattr(self, name) <= limit for name, limit in largest.items())
        possible &= (
            0 <= self.f_min < self.f_max <= self.sample_rate / 2
            and 0 <= self.repeat_seconds <= 3600
        )
        if not (possible and self.power_floor > 0 and self.std > 0 and math.isfinite(self.mean)):
            raise UsageError(
                f"No front end is possible with {self}: its lengths are 1 or more, win_length is at most n_fft, hop_length "
                f"at most win_length, f_min < f_max <= sample_rate / 2, power_floor and std are above 0; n_fft is at most "
                f"65,536, n_mels 1,024, sample_rate {SAMPLE_RATE_RANGE[1]:,}, repeat_seconds 3,600."
            )

    @property
    def unstandardized(self) -> FrontEnd:
        """The same with a mean of 0 and a deviation of 1: two that are alike in this hear the same."""
        return replace(self, mean=0.0, std=1.0)

    @property
    def value_range(self) -> tuple[float, float]:
        """Values of silence and of a full-scale sine in the bin that it falls on, between which synthetic clips stay.

        A full-scale square wave is louder, by less than one natural logarithm.
        """
        loudest = filterbanks.peak_gain(self) * (self.win_length / 4) ** 2 + self.power_floor
        return (math.log(self.power_floor) - self.mean) / self.std, (
            math.log(loudest) - self.mean
        ) / self.std

    def n_frames(self, seconds: float) -> int:
        """Return the number of frames N of a clip of this length (s)."""
        return max(self._shortest, round(seconds * self.sample_rate)) // self.hop_length + 1

    @property
    def _shortest(self) -> int:
        """How long a waveform is at least, once it has been repeated: half a window is mirrored at its ends."""
        return max(round(self.repeat_seconds * self.sample_rate), self.n_fft // 2 + 1)

    def seconds(self, frames: int) -> float:
        """Return the length (s) of a clip of this many frames."""
        return (frames - 1) * self.hop_length / self.sample_rate

    def __call__(self, waveform: Tensor) -> Tensor:
        """Return the standardised log band powers ``(..., F, N)`` of a waveform ``(..., T)`` at ``sample_rate``."""
        shortest = self._shortest
        if waveform.shape[-1] < shortest:
            copies = -(-shortest // max(1, waveform.shape[-1]))
            waveform = waveform.repeat(*[1] * (waveform.dim() - 1), copies)[..., :shortest]
        power = (_power(self)(waveform).transpose(-1, -2) @ _bank(self)).transpose(-1, -2)
        return ((power + self.power_floor).log() - self.mean) / self.std

    def to_waveform(self, mel: Tensor, iterations: int = 64) -> Tensor:
        """Return a waveform ``(T,)`` whose spectrogram resembles ``mel`` (F, N); equal input, equal sound.

        Multiplicative updates find the power of each Fourier bin, Griffin-Lim its phase. Least squares would
        give negative powers too; cut off at 0, they leave the rest too loud.

        Source: Lee and Seung, "Algorithms for Non-negative Matrix Factorization", NIPS 2000, eq. 5.
        """
        # Griffin-Lim mirrors half a window at the ends: a clip must be longer than that.
        mel = mel.repeat(1, -(-(self.n_fft // (2 * self.hop_length) + 2) // mel.shape[1]))
        power = ((mel.float() * self.std + self.mean).exp() - self.power_floor).clamp(min=0)
        bank = _bank(self)
        bins = torch.ones(len(bank), mel.shape[1])
        for _ in range(iterations):
            excess = bank @ (power / (bank.T @ bins).clamp(min=1e-10))
            bins *= excess / bank.sum(dim=1, keepdim=True).clamp(min=1e-10)
        griffin_lim = _torchaudio.transforms.GriffinLim(
            self.n_fft, iterations, self.win_length, self.hop_length, power=2.0, rand_init=False
        )
        waveform = griffin_lim(bins)
        return waveform / waveform.abs().max().clamp(min=1.0)


@cache
def _power(front_end: FrontEnd) -> torch.nn.Module:
    return _torchaudio.transforms.Spectrogram(
        front_end.n_fft, front_end.win_length, front_end.hop_length, power=2.0
    )


@cache
def _bank(front_end: FrontEnd) -> Tensor:
    """Return the weights ``(bins, F)`` of the bands."""
    return filterbanks.filterbank_matrix(front_end)
