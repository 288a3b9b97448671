"""Files, resampling, the front end, and the way back to sound."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from frami.audio import _torchaudio, filterbanks
from frami.core.errors import Failed, WrongUse, unknown
from frami.core.settings import setting

SHORTEST_SECONDS = 0.02
RATES = (1000, 768_000)


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
    filterbank: str = setting("mel", "mel, slaney, gammatone, constant-q", added=True)

    def __post_init__(self) -> None:
        if self.filterbank not in filterbanks.FILTERBANKS:
            raise unknown("filterbank", self.filterbank, filterbanks.FILTERBANKS)
        largest = {
            "sample_rate": RATES[1],
            "n_fft": 65_536,
            "win_length": self.n_fft,
            "hop_length": self.win_length,
            "n_mels": 1024,
        }
        possible = all(1 <= getattr(self, name) <= limit for name, limit in largest.items())
        possible &= 0 <= self.f_min < self.f_max <= self.sample_rate / 2 and 0 <= self.repeat_seconds <= 3600
        if not (possible and self.power_floor > 0 and self.std > 0 and math.isfinite(self.mean)):
            raise WrongUse(
                f"No front end is possible with {self}: its lengths are 1 or more, win_length is at most n_fft, hop_length "
                f"at most win_length, f_min < f_max <= sample_rate / 2, power_floor and std are above 0; n_fft is at most "
                f"65,536, n_mels 1,024, sample_rate {RATES[1]:,}, repeat_seconds 3,600."
            )

    @property
    def unstandardised(self) -> FrontEnd:
        """The same with a mean of 0 and a deviation of 1: two that are alike in this hear the same."""
        return replace(self, mean=0.0, std=1.0)

    @property
    def range(self) -> tuple[float, float]:
        """Values of silence and of a full-scale sine in the bin that it falls on, between which synthetic clips stay.

        A full-scale square wave is louder, by less than one natural logarithm.
        """
        loudest = filterbanks.peak(self) * (self.win_length / 4) ** 2 + self.power_floor
        return (math.log(self.power_floor) - self.mean) / self.std, (math.log(loudest) - self.mean) / self.std

    def frames(self, seconds: float) -> int:
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

    def to_sound(self, mel: Tensor, iterations: int = 64) -> Tensor:
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
    return _torchaudio.transforms.Spectrogram(front_end.n_fft, front_end.win_length, front_end.hop_length, power=2.0)


@cache
def _bank(front_end: FrontEnd) -> Tensor:
    """Return the weights ``(bins, F)`` of the bands."""
    return filterbanks.bank(front_end)


def resample(waveform: Tensor, rate: int, to: int) -> Tensor:
    """Return a waveform ``(..., T)`` of ``rate`` Hz at ``to`` Hz.

    The filter grows with the terms of the ratio, to gigabytes for 44101 Hz: it is rounded, by less than 0.02 %.
    """
    ratio = Fraction(to, rate).limit_denominator(4000)
    return waveform if rate == to else _torchaudio.functional.resample(waveform, ratio.denominator, ratio.numerator)


def read(path: str | Path, sample_rate: int) -> Tensor:
    """Return an audio file (wav, flac, ogg) as a mono waveform ``(T,)`` at ``sample_rate`` Hz.

    It is within [-1, 1], but for what resampling adds to one that was clipped.

    Raises:
        WrongUse: there is no such file.
        Failed: it is not audio, empty, cut off, silent, shorter than 20 ms, holds NaN, or has more than two channels.
    """
    path = Path(path)
    if not path.is_file():
        raise WrongUse(f"There is no file {str(path)!r}.")
    if path.stat().st_size == 0:
        raise Failed(f"{path} is an empty file: fetch it again.")
    announced = None
    try:
        with soundfile.SoundFile(path) as file:
            announced, rate = file.frames, file.samplerate
            samples = file.read(dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, ValueError, MemoryError) as error:
        if _cut_off(path):
            raise Failed(f"{path} is cut off: fetch it again.") from error
        if announced is not None:  # the head is fine, the rest is not; in a flac file there is no telling how
            raise Failed(f"{path} is cut off or damaged: fetch it again, or convert it to wav.") from error
        raise Failed(f"{path} is not audio that can be read ({error}); wav, flac and ogg are.") from error
    if len(samples) < announced or _cut_off(path):
        raise Failed(f"{path} is cut off after {len(samples) / rate:.2f} s: fetch it again.")
    return resample(_checked(path, torch.from_numpy(samples), rate), rate, sample_rate)


def _checked(path: Path, samples: Tensor, rate: int) -> Tensor:
    """Return ``samples`` (T, channels) as one channel, or say why they cannot be used."""
    length, channels = samples.shape
    if not RATES[0] <= rate <= RATES[1]:
        raise Failed(f"{path} announces {rate} Hz; {RATES[0]} to {RATES[1]} Hz are allowed: export it again.")
    if channels > 2:
        raise Failed(f"{path} has {channels} channels; 1 or 2 are allowed: mix it down first.")
    if length < SHORTEST_SECONDS * rate:
        raise Failed(
            f"{path} lasts {1000 * length / rate:.0f} ms; the shortest clip allowed is {1000 * SHORTEST_SECONDS:.0f} ms."
        )
    mono = samples.mean(dim=1)
    if not bool(mono.isfinite().all()):
        raise Failed(f"{path} holds samples that are not numbers (NaN or infinity): export it again.")
    if not bool(mono.any()):
        raise Failed(f"{path} is silent: every one of its {length} samples is zero; leave it out or record it again.")
    return mono.clamp(-1, 1)


def _cut_off(path: Path) -> bool:
    """Tell from the container whether the end of a file is missing; the decoder passes over that without a word."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF":
            announced = int.from_bytes(head[4:8], "little")
            # Both are what a recorder writes that could not seek back to fill in the length.
            return announced not in (0, 0xFFFFFFFF) and announced + 8 > size + 1
        if head[:4] == b"OggS":
            file.seek(max(0, size - 65536))
            tail = file.read()
            return not _ends_stream(tail[tail.rfind(b"OggS") :])
    return False


def _ends_stream(page: bytes) -> bool:
    """Tell whether an Ogg page is whole, and the last of its stream."""
    if len(page) < 27 or not page[5] & 4:
        return False
    segments = page[27 : 27 + page[26]]
    return len(page) >= 27 + page[26] + sum(segments)
