"""Call a feature function of the user's own, and bring its result to ``(F, N)``."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from frami.audio.front_end_settings import Settings
from frami.core import code
from frami.core.errors import OperationError
from frami.core.memory import raise_if_full
from frami.core.text import count

# What a function takes for one waveform (T,).
INPUTS: Mapping[str, Callable[[Tensor], Any]] = MappingProxyType(
    {
        "tensor": lambda waveform: waveform,
        "tensor-batch": lambda waveform: waveform.unsqueeze(0),
        "array": lambda waveform: waveform.detach().cpu().numpy(),
        "array-batch": lambda waveform: waveform.detach().cpu().numpy()[None],
    }
)


def compute(settings: Settings, waveform: Tensor) -> Tensor:
    """Return the features ``(..., F, N)`` of waveforms ``(..., T)``, one clip after the other.

    Raises:
        OperationError: The function was not loaded, raises, or returns another shape than before.
    """
    clips = [_compute_one(settings, clip) for clip in waveform.reshape(-1, waveform.shape[-1])]
    return torch.stack(clips).reshape(*waveform.shape[:-1], *clips[0].shape)


def _compute_one(settings: Settings, waveform: Tensor) -> Tensor:
    features = call(settings.function, settings.function_input, waveform)
    features = features.T if settings.frames_first and features.dim() == 2 else features
    if features.dim() != 2 or len(features) != settings.n_mels:
        raise OperationError(
            f"{settings.function.partition('@')[0]} returned the shape {tuple(features.shape)} for "
            f"{count(len(waveform), 'sample')}; {settings.n_mels} features per frame were expected."
        )
    return features.to(waveform.device)


def call(reference: str, function_input: str, waveform: Tensor) -> Tensor:
    """Return the features of one waveform ``(T,)``, float32, as `as_matrix` does.

    Raises:
        OperationError: The function was not loaded, or raises; the message names its line.
    """
    function = code.find_function(reference)
    try:
        return as_matrix(function(INPUTS[function_input](waveform)))
    except Exception as error:
        raise_if_full(error)
        raise OperationError(code.describe_error(error, source_of(function))) from error


def as_matrix(output: Any) -> Tensor:
    """Return the result of a function as float32, without batch and channel dimensions of size 1.

    A result that is not a matrix then keeps its other dimensions.
    """
    features = output if isinstance(output, Tensor) else torch.as_tensor(np.asarray(output))
    while features.dim() > 2 and features.shape[0] == 1:
        features = features[0]
    while features.dim() > 2 and features.shape[-1] == 1:
        features = features[..., 0]
    return features.float()


def source_of(function: Callable[..., Any]) -> str:
    """Return the file that defines a function; its own name if there is none."""
    place = getattr(function, "__code__", None)
    return str(place.co_filename) if place else getattr(function, "__name__", repr(function))


def line_of(error: OperationError) -> int:
    """Return the last line of the user's file that ran before an error of `call`; 0 if none."""
    cause = error.__cause__
    frames = traceback.extract_tb(cause.__traceback__) if cause else []
    own = [frame.lineno or 0 for frame in frames if frame.filename in str(error)]
    return own[-1] if own else 0
