"""Your own feature function as a front end: try it on sounds to learn its shape and its values.

The function takes one waveform and returns features. The waveform is a tensor ``(T,)`` or
``(1, T)``, or a NumPy array of these shapes; frami tries them in this order. The features are
``(F, N)`` or ``(N, F)``, a tensor or an array, with or without dimensions of size 1 around them::

    def mel(waveform):
        return librosa.feature.melspectrogram(y=waveform, sr=16000)

The number of frames N must grow with the length of the waveform: leave padding to a fixed length
out. Leave out randomness such as dither, too. The function need not be differentiable.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from frami.audio import user_function
from frami.audio.frontend import SAMPLE_RATE_RANGE, FrontEnd
from frami.core import code
from frami.core.checks import check_integer
from frami.core.errors import OperationError, UsageError

SECONDS = (1.0, 1.7)  # of the two sounds that show which axis is time
SHORT_SECONDS = (0.02, 0.05, 0.1, 0.25, 0.5)
SINES = (50.0, 200.0, 700.0, 2000.0, 7000.0)  # Hz
SAME = 1e-3  # relative; a function that differs by more between two calls is random


@dataclass(frozen=True)
class _Function:
    """A user's function, and how it is called.

    Attributes:
        entry: Its entry point, for messages.
        reference: Its reference.
        function_input: A name of `frami.audio.user_function.INPUTS`.
        time_axis: The axis that grows with the waveform; 1 at first.
    """

    entry: str
    reference: str
    function_input: str
    time_axis: int = 1

    def __call__(self, waveform: Tensor) -> Tensor:
        """Return the features of a waveform ``(T,)``, ``(F, N)`` where the time axis is known."""
        features = user_function.call(self.reference, self.function_input, waveform)
        if features.dim() != 2:
            raise UsageError(
                f"{self.entry} returns the shape {tuple(features.shape)} for a waveform of "
                f"{len(waveform)} samples; return features by frames, (F, N) or (N, F)."
            )
        return features.T if self.time_axis == 0 else features

    def n_frames(self, n_samples: int) -> int:
        """Return the number of frames of a waveform; 0 if the function refuses it."""
        try:
            return self(_noise(n_samples)).shape[1]
        except (OperationError, UsageError):
            return 0


def front_end_of(entry: str, sample_rate: int) -> FrontEnd:
    """Return a front end that calls a feature function of the user's own.

    Args:
        entry: ``package.module:function`` or ``file.py:function``.
        sample_rate: Rate of the waveforms that the function expects, Hz.

    Raises:
        UsageError: There is no such function, it raises (the message names the line), its result
            is not a matrix that grows with the waveform, is not finite, or is random.
    """
    check_integer("sample_rate", sample_rate, *SAMPLE_RATE_RANGE)
    reference = str(code.load_entry_point(entry))
    with warnings.catch_warnings(action="ignore"):  # of short clips, empty filters
        return _probe(entry, reference, sample_rate)


def _probe(entry: str, reference: str, sample_rate: int) -> FrontEnd:
    """Return a front end that calls a function of this reference."""
    short, long = (_noise(round(seconds * sample_rate)) for seconds in SECONDS)
    function = _with_time_axis(_find_input(entry, reference, short), short, long)
    with torch.no_grad():
        low, high = _check_values(function, sample_rate)
        hop_length, offset = _find_frames(function, len(short), len(long))
        n_features = len(function(short))
        repeat_seconds = next(
            (s for s in SHORT_SECONDS if function.n_frames(round(s * sample_rate)) > 0), SECONDS[0]
        )
    return FrontEnd(
        sample_rate=sample_rate,
        n_fft=hop_length,
        win_length=hop_length,
        hop_length=hop_length,
        n_mels=n_features,
        f_min=0.0,
        f_max=sample_rate / 2,
        repeat_seconds=repeat_seconds if repeat_seconds > SHORT_SECONDS[0] else 0.0,
        function=reference,
        function_input=function.function_input,
        frames_first=function.time_axis == 0,
        frame_offset=offset,
        lowest=low,
        highest=high,
    )


def _noise(n_samples: int) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return 2 * torch.rand(n_samples, generator=rng) - 1


def _find_input(entry: str, reference: str, waveform: Tensor) -> _Function:
    """Return the function with the first kind of input that it accepts."""
    errors: list[OperationError] = []
    for kind in user_function.INPUTS:
        try:
            user_function.call(reference, kind, waveform)
        except OperationError as error:
            errors.append(error)
        else:
            return _Function(entry, reference, kind)
    # The input of the right kind led farthest.
    raise UsageError(str(max(errors, key=user_function.line_of))) from errors[0]


def _with_time_axis(function: _Function, short: Tensor, long: Tensor) -> _Function:
    """Return the function with the axis that grows with the waveform."""
    before, after = function(short).shape, function(long).shape
    growing = [axis for axis in (0, 1) if after[axis] > before[axis]]
    if len(growing) != 1 or before[1 - growing[0]] != after[1 - growing[0]]:
        raise UsageError(
            f"{function.entry} returns the shape {tuple(before)} for {len(short)} samples and "
            f"{tuple(after)} for {len(long)}; exactly one axis must grow with the waveform. Leave "
            f"out padding to a fixed length, and means over time."
        )
    return replace(function, time_axis=growing[0])


def _check_values(function: _Function, sample_rate: int) -> tuple[float, float]:
    """Return the lowest and the highest value, from silence to full-scale sines and noise."""
    n_samples = round(SECONDS[0] * sample_rate)
    time = torch.arange(n_samples) / sample_rate
    sounds = {
        "silence": torch.zeros(n_samples),
        "full-scale noise": _noise(n_samples),
        **{
            f"a full-scale sine of {hertz:g} Hz": torch.sin(2 * math.pi * hertz * time)
            for hertz in SINES
            if hertz < sample_rate / 2
        },
    }
    features = {name: function(sound) for name, sound in sounds.items()}
    for name, values in features.items():
        if not bool(values.isfinite().all()):
            raise UsageError(
                f"{function.entry} returns values that are not finite for {name}. Add a small "
                f"number before the logarithm or the division."
            )
    first = features["full-scale noise"]
    if not torch.allclose(first, function(_noise(n_samples)), rtol=SAME, atol=SAME):
        raise UsageError(
            f"{function.entry} returns other values in a second call. Leave randomness such as "
            f"dither out."
        )
    low = min(float(values.min()) for values in features.values())
    high = max(float(values.max()) for values in features.values())
    if low == high:
        raise UsageError(f"{function.entry} returns {low:g} for silence, noise and sines alike.")
    return low, high


def _find_frames(function: _Function, short: int, long: int) -> tuple[int, int]:
    """Return the hop and the length of the shortest clip with a frame, both in samples.

    A clip of ``T`` samples then has ``(T - offset) // hop + 1`` frames. Both come from the lengths
    at which the number of frames grows.
    """
    fewest, most = function.n_frames(short), function.n_frames(long)
    first = _shortest(function, fewest + 1, short, long)
    last = _shortest(function, most, short, long)
    if most - fewest < 2:
        raise UsageError(
            f"{function.entry} returns {fewest} frames for {short} samples and {most} for {long}; "
            f"{SECONDS[1] - SECONDS[0]:.1f} s must hold two frames or more."
        )
    hop = max(1, round((last - first) / (most - 1 - fewest)))
    return hop, first - fewest * hop


def _shortest(function: _Function, n_frames: int, low: int, high: int) -> int:
    """Return the shortest length from ``low`` to ``high`` (samples) with this many frames."""
    while low < high:
        middle = (low + high) // 2
        if function.n_frames(middle) >= n_frames:
            high = middle
        else:
            low = middle + 1
    return low
