"""Bring the sounds that a user passes into one form: mono, float32, at one sample rate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from frami.audio.frontend import SAMPLE_RATE_RANGE
from frami.audio.io import MIN_SECONDS, read_audio, resample
from frami.audio.levels import Mixdown, check_audible
from frami.core.checks import check_integer
from frami.core.errors import OperationError, UsageError
from frami.core.text import count

# Integer samples are divided by their full scale.
FULL_SCALE = {torch.int16: 2.0**15, torch.int32: 2.0**31}


def as_waveform(sound: Any, sample_rate: int | None, new_rate: int) -> Tensor:
    """Return a sound as a mono waveform ``(T,)``, float32, at ``new_rate`` Hz.

    Args:
        sound: Path of an audio file, or samples as `as_mono` takes them.
        sample_rate: Rate of the samples, Hz; None means ``new_rate``. A file has its own rate, and
            this one is not used.
        new_rate: Rate of the result, Hz.

    Raises:
        UsageError: The sound is not a waveform, or shorter than 20 ms, or there is no such file.
        OperationError: The sound is digital silence, its peak is below one step of 16 bits, or the
            file cannot be read.
    """
    if isinstance(sound, str | Path):
        return read_audio(sound, new_rate)
    waveform, rate = as_mono(sound), check_rate(sample_rate, new_rate)
    if len(waveform) < MIN_SECONDS * rate:
        raise UsageError(
            f"The waveform has {count(len(waveform), 'sample')}, {1000 * len(waveform) / rate:.0f} "
            f"ms at {rate} Hz; it must last {1000 * MIN_SECONDS:.0f} ms or more."
        )
    check_audible(waveform, "The waveform", OperationError)
    return resample(waveform, rate, new_rate)


def check_rate(sample_rate: Any, default: int) -> int:
    """Return a sample rate (Hz), or the default for None; refuse an impossible one."""
    if sample_rate is None:
        return default
    if isinstance(sample_rate, float) and sample_rate.is_integer():
        sample_rate = int(sample_rate)
    return check_integer("sample_rate", sample_rate, *SAMPLE_RATE_RANGE)


def as_mono(samples: Any, mixdown: Mixdown | None = None) -> Tensor:
    """Return samples as one channel ``(T,)`` of float32 in [-1, 1] on the CPU.

    Args:
        samples: Tensor or array ``(T,)``, ``(1, T)`` or ``(2, T)``; the channels are averaged.
            Floats have full scale 1 and are clipped to it. int16 and int32 are scaled.
        mixdown: What measures the sound, if the samples are a part of it.

    Raises:
        UsageError: The samples have another type or shape, are not finite or far above 1, or two
            channels cancel.
    """
    tensor = _as_tensor(samples)
    if tensor.dtype in FULL_SCALE:
        tensor = tensor.double() / FULL_SCALE[tensor.dtype]
    elif not tensor.is_floating_point():
        raise UsageError(
            f"The waveform has samples of type {tensor.dtype}; floats in [-1, 1], int16 and int32 "
            f"are allowed."
        )
    mixdown = mixdown or Mixdown("The waveform", UsageError)
    return mixdown.mix(_samples_first(tensor).float())


def _as_tensor(samples: Any) -> Tensor:
    if isinstance(samples, Tensor):
        if samples.layout != torch.strided or samples.is_meta:
            kind = "on the device meta" if samples.is_meta else f"of {samples.layout}"
            raise UsageError(f"The waveform is a tensor {kind}; pass a dense one with values.")
        return samples.detach().cpu()
    if not isinstance(samples, np.ndarray):
        raise UsageError(
            f"A sound is the path of a file, a tensor or a NumPy array, not "
            f"{type(samples).__name__}."
        )
    if np.ma.is_masked(samples):
        raise UsageError("The waveform is an array with masked samples. Cut them out or fill them.")
    try:
        # A copy in the byte order of this machine, without negative strides.
        return torch.from_numpy(samples.astype(samples.dtype.newbyteorder("="), order="C"))
    except TypeError as error:
        raise UsageError(
            f"The waveform has samples of type {samples.dtype}; floats in [-1, 1], int16 and int32 "
            f"are allowed."
        ) from error


def _samples_first(samples: Tensor) -> Tensor:
    """Return samples ``(T,)``, ``(1, T)`` or ``(2, T)`` as ``(T, channels)``."""
    if samples.dim() == 1:
        return samples[:, None]
    if samples.dim() == 2 and samples.shape[0] in (1, 2):
        return samples.T
    transposed = samples.dim() == 2 and samples.shape[1] in (1, 2)
    advice = "The channels come first: transpose it." if transposed else "Pass one clip at a time."
    raise UsageError(
        f"The waveform has the shape {tuple(samples.shape)}; (T,), (1, T) and (2, T) are allowed. "
        f"{advice}"
    )
