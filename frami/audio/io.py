"""Reading and resampling sound files."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from frami.audio import _torchaudio
from frami.audio.frontend import SAMPLE_RATE_RANGE
from frami.core.errors import OperationError, UsageError

MIN_SECONDS = 0.02


def resample(waveform: Tensor, rate: int, to: int) -> Tensor:
    """Return a waveform ``(..., T)`` of ``rate`` Hz at ``to`` Hz.

    The filter grows with the terms of the ratio, to gigabytes for 44101 Hz: it is rounded, by less than 0.02 %.
    """
    ratio = Fraction(to, rate).limit_denominator(4000)
    return (
        waveform
        if rate == to
        else _torchaudio.functional.resample(waveform, ratio.denominator, ratio.numerator)
    )


def read_audio(path: str | Path, sample_rate: int) -> Tensor:
    """Return an audio file (wav, flac, ogg) as a mono waveform ``(T,)`` at ``sample_rate`` Hz.

    It is within [-1, 1], but for what resampling adds to one that was clipped.

    Raises:
        WrongUse: there is no such file.
        Failed: it is not audio, empty, cut off, silent, shorter than 20 ms, holds NaN, or has more than two channels.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"There is no file {str(path)!r}.")
    if path.stat().st_size == 0:
        raise OperationError(f"{path} is an empty file: fetch it again.")
    announced = None
    try:
        with soundfile.SoundFile(path) as file:
            announced, rate = file.frames, file.samplerate
            samples = file.read(dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, ValueError, MemoryError) as error:
        if _cut_off(path):
            raise OperationError(f"{path} is cut off: fetch it again.") from error
        if (
            announced is not None
        ):  # the head is fine, the rest is not; in a flac file there is no telling how
            raise OperationError(
                f"{path} is cut off or damaged: fetch it again, or convert it to wav."
            ) from error
        raise OperationError(
            f"{path} is not audio that can be read ({error}); wav, flac and ogg are."
        ) from error
    if len(samples) < announced or _cut_off(path):
        raise OperationError(
            f"{path} is cut off after {len(samples) / rate:.2f} s: fetch it again."
        )
    return resample(_checked(path, torch.from_numpy(samples), rate), rate, sample_rate)


def _checked(path: Path, samples: Tensor, rate: int) -> Tensor:
    """Return ``samples`` (T, channels) as one channel, or say why they cannot be used."""
    length, channels = samples.shape
    if not SAMPLE_RATE_RANGE[0] <= rate <= SAMPLE_RATE_RANGE[1]:
        raise OperationError(
            f"{path} announces {rate} Hz; {SAMPLE_RATE_RANGE[0]} to {SAMPLE_RATE_RANGE[1]} Hz are allowed: export it again."
        )
    if channels > 2:
        raise OperationError(
            f"{path} has {channels} channels; 1 or 2 are allowed: mix it down first."
        )
    if length < MIN_SECONDS * rate:
        raise OperationError(
            f"{path} lasts {1000 * length / rate:.0f} ms; the shortest clip allowed is {1000 * MIN_SECONDS:.0f} ms."
        )
    mono = samples.mean(dim=1)
    if not bool(mono.isfinite().all()):
        raise OperationError(
            f"{path} holds samples that are not numbers (NaN or infinity): export it again."
        )
    if not bool(mono.any()):
        raise OperationError(
            f"{path} is silent: every one of its {length} samples is zero; leave it out or record it again."
        )
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
