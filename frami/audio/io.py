"""Read and resample audio files."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from frami.audio import _torchaudio
from frami.audio.decoding import DECODING_ERRORS, check_file, open_audio, reading_error
from frami.audio.frontend import SAMPLE_RATE_RANGE
from frami.audio.levels import Mixdown, check_audible
from frami.core.errors import OperationError
from frami.core.files import expand
from frami.core.text import count

MIN_SECONDS = 0.02
# The filter of resampling: zero crossings on either side, and cutoff as a part of half the lower
# rate. Its gain is about that of soxr's HQ. torchaudio's defaults (6, 0.99) lose 1.9 dB at 0.44 of
# the lower rate, and suppress an alias from 0.51 of it by 8 dB only.
FILTER_ZEROS = 64
FILTER_CUTOFF = 0.96
# Most samples of a file: so many, and so many more for each of its bytes.
SAMPLES_OF_ANY_FILE, SAMPLES_PER_BYTE = 1 << 26, 128


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
        OperationError: The file is not audio, too long for its size, empty, cut off, silent or
            shorter than 20 ms, it contains NaN, it has more than two channels, its samples are far
            above 1, its channels cancel, or more sound follows its end.
    """
    waveform, rate = read_original_audio(path)
    check_size(expand(path), round(len(waveform) * sample_rate / rate))
    return resample(waveform, rate, sample_rate)


def read_original_audio(path: str | Path) -> tuple[Tensor, int]:
    """Return an audio file as a mono waveform ``(T,)`` in [-1, 1], and its own rate (Hz).

    It raises the errors of `read_audio`.
    """
    path = check_file(path)
    with open_audio(path) as file:
        length, rate = file.frames, file.samplerate
        check_size(path, length * file.channels)
        check_format(path, length, file.channels, rate)
        try:
            samples = torch.from_numpy(file.read(length, "float32", always_2d=True))
        except DECODING_ERRORS as error:
            raise reading_error(path) from error
    if len(samples) < length:
        raise OperationError(
            f"{path} is cut off after {len(samples) / rate:.2f} s: fetch it again."
        )
    mono = Mixdown(str(path), OperationError).mix(samples)
    check_audible(mono, str(path), OperationError)
    return mono, rate


def check_size(path: Path, n_samples: int) -> None:
    """Refuse a small file that would fill the memory, such as hours of compressed silence.

    Its samples count at its own rate and at that of the model.

    Speech at the lowest bit rate of Opus has about 64 samples per byte.
    """
    limit = SAMPLES_OF_ANY_FILE + SAMPLES_PER_BYTE * path.stat().st_size
    if n_samples > limit:
        raise OperationError(
            f"{path} stands for {n_samples:,} samples, too many for a file of its size: cut "
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
