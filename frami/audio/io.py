"""Read and resample audio files."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from frami.audio import _torchaudio
from frami.audio.frontend import SAMPLE_RATE_RANGE
from frami.core.errors import OperationError, UsageError
from frami.core.text import count

MIN_SECONDS = 0.02
# The filter of resampling: zero crossings on either side, and cutoff as a part of half the lower
# rate. Its gain is about that of soxr's HQ. torchaudio's defaults (6, 0.99) lose 1.9 dB at 0.44 of
# the lower rate, and suppress an alias from 0.51 of it by 8 dB only.
FILTER_ZEROS = 64
FILTER_CUTOFF = 0.96
# Most samples of a file: so many, and so many more for each of its bytes.
SAMPLES_OF_ANY_FILE, SAMPLES_PER_BYTE = 1 << 26, 128
DECODING_ERRORS = (soundfile.LibsndfileError, RuntimeError, ValueError, MemoryError)


def resample(waveform: Tensor, rate: int, new_rate: int) -> Tensor:
    """Return a waveform ``(..., T)`` of ``rate`` Hz at ``new_rate`` Hz.

    Frequencies up to 0.46 of the lower rate keep their level; those above 0.505 of it are removed.
    The ratio of the rates is rounded by less than 0.02 %. The filter of the exact ratio can need
    gigabytes, as for 44101 Hz.
    """
    if rate == new_rate:
        return waveform
    resampled: Tensor = _torchaudio.functional.resample(
        waveform,
        *resample_ratio(rate, new_rate),
        lowpass_filter_width=FILTER_ZEROS,
        rolloff=FILTER_CUTOFF,
    )
    return resampled


def resample_ratio(rate: int, new_rate: int) -> tuple[int, int]:
    """Return how many samples at ``rate`` become how many samples at ``new_rate``."""
    ratio = Fraction(new_rate, rate).limit_denominator(4000)
    return ratio.denominator, ratio.numerator


def read_audio(path: str | Path, sample_rate: int) -> Tensor:
    """Return an audio file (wav, flac, ogg) as a mono waveform ``(T,)`` at ``sample_rate`` Hz.

    Samples are clipped to [-1, 1] before resampling, which may exceed that range slightly.

    Raises:
        UsageError: The file does not exist.
        OperationError: The file is not audio, empty, cut off, silent or shorter than 20 ms, it
            contains NaN, or it has more than two channels.
    """
    waveform, rate = read_original_audio(path)
    return resample(waveform, rate, sample_rate)


def read_original_audio(path: str | Path) -> tuple[Tensor, int]:
    """Return an audio file as a mono waveform ``(T,)`` in [-1, 1], and its own rate (Hz).

    It raises the errors of `read_audio`.
    """
    path = check_file(path)
    samples, rate = _decode(path)
    return _as_mono(path, samples, rate), rate


def check_file(path: str | Path) -> Path:
    """Return the path of a file that is not empty."""
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"There is no file {str(path)!r}.")
    if path.stat().st_size == 0:
        raise OperationError(f"{path} is an empty file: fetch it again.")
    return path


def _decode(path: Path) -> tuple[Tensor, int]:
    """Return samples ``(T, channels)`` and sample rate of an audio file."""
    expected = None
    try:
        with soundfile.SoundFile(path) as file:
            expected, rate = file.frames, file.samplerate
            check_size(path, file.frames * file.channels)
            samples = file.read(dtype="float32", always_2d=True)
    except OperationError:  # it is a RuntimeError, as those of the decoder
        raise
    except DECODING_ERRORS as error:
        raise decoding_error(path, error, opened=expected is not None) from error
    if len(samples) < expected or is_cut_off(path):
        raise OperationError(
            f"{path} is cut off after {len(samples) / rate:.2f} s: fetch it again."
        )
    return torch.from_numpy(samples), rate


def decoding_error(path: Path, error: Exception, *, opened: bool) -> OperationError:
    """Return the error for a file that the decoder refused, before or after it was opened."""
    if is_cut_off(path):
        problem = "is cut off" if opened else "is not audio, or is cut off"
        return OperationError(f"{path} {problem}: fetch it again.")
    if opened:  # The header is fine. A flac file does not show where it ends.
        return OperationError(
            f"{path} is cut off or damaged: fetch it again, or convert it to wav."
        )
    return OperationError(f"{path} is not audio that can be read ({error}). Use wav, flac or ogg.")


def check_size(path: Path, n_samples: int) -> None:
    """Refuse a small file that would fill the memory, such as hours of compressed silence.

    Speech at the lowest bit rate of Opus has about 64 samples per byte.
    """
    limit = SAMPLES_OF_ANY_FILE + SAMPLES_PER_BYTE * path.stat().st_size
    if n_samples > limit:
        raise OperationError(
            f"{path} says that it has {n_samples:,} samples, too many for a file of its size: cut "
            f"it into pieces, or convert it to wav."
        )


def check_format(path: Path, length: int, channels: int, rate: int) -> None:
    """Refuse a file with an impossible sample rate, with more than two channels, or too short."""
    lowest, highest = SAMPLE_RATE_RANGE
    if not lowest <= rate <= highest:
        raise OperationError(
            f"{path} has a sample rate of {rate} Hz; {lowest} to {highest} Hz are allowed: "
            f"export it again."
        )
    if channels > 2:
        raise OperationError(
            f"{path} has {count(channels, 'channel')}; 1 or 2 are allowed: mix it down first."
        )
    if length < MIN_SECONDS * rate:
        raise OperationError(
            f"{path} lasts {1000 * length / rate:.0f} ms; it must last {1000 * MIN_SECONDS:.0f} ms "
            f"or more."
        )


def _as_mono(path: Path, samples: Tensor, rate: int) -> Tensor:
    """Return ``samples`` (T, channels) as one channel ``(T,)``; refuse unusable ones."""
    length, channels = samples.shape
    check_format(path, length, channels, rate)
    mono = mix_channels(path, samples)
    if not bool(mono.any()):
        if bool(samples.any()):
            raise OperationError(
                f"{path} is silent as mono: its two channels cancel, because one is the other with "
                f"the sign changed. Export one channel, or invert one of them."
            )
        raise OperationError(
            f"{path} is silent: all of its {len(samples)} samples are zero. Leave it out or record "
            f"it again."
        )
    return mono


def mix_channels(path: Path, samples: Tensor) -> Tensor:
    """Return the mean of the channels of ``samples`` (T, channels) in [-1, 1], ``(T,)``."""
    mono = samples.mean(dim=1)
    if not bool(mono.isfinite().all()):
        raise OperationError(
            f"{path} contains samples that are not numbers (NaN or infinity): export it again."
        )
    return mono.clamp(-1, 1)


def is_cut_off(path: Path) -> bool:
    """Return whether the end of a file is missing where the decoder does not report it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(28)
        if head[:4] == b"OggS":
            file.seek(max(0, size - 65536))
            tail = file.read()
            return not _ends_stream(tail[tail.rfind(b"OggS") :])
    declared = _declared_size(head)
    return declared is not None and declared > size + 1


def _declared_size(head: bytes) -> int | None:
    """Return the size of a file by its header; None if the header does not tell it."""
    little = int.from_bytes(head[4:8], "little")
    big = int.from_bytes(head[4:8], "big")
    if head[:4] == b"RIFF":
        # A recorder or a pipe that cannot seek back to fill in the length leaves 0, or the largest
        # number of a type: ffmpeg 0xFFFFFFFF, arecord 0x80000024, sox 0x7FFFF024.
        return None if little == 0 or little >= 0x7FFFF000 else little + 8
    if head[:4] == b"RF64" and head[12:16] == b"ds64":
        return int.from_bytes(head[20:28], "little") + 8
    if head[:4] == b"riff":  # W64: an identifier of 16 bytes, then the size of the whole file
        return int.from_bytes(head[16:24], "little")
    if head[:4] == b"FORM":  # AIFF
        return big + 8
    if head[:4] == b".snd":  # AU: where the samples begin, and how many bytes they take
        length = int.from_bytes(head[8:12], "big")
        return None if length == 0xFFFFFFFF else big + length
    return None


def _ends_stream(page: bytes) -> bool:
    """Return whether an Ogg page is complete, and the last page of its stream."""
    if len(page) < 27 or not page[5] & 4:
        return False
    segments = page[27 : 27 + page[26]]
    return len(page) >= 27 + page[26] + sum(segments)
