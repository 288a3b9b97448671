"""Call a feature function of the user's own, and bring its result to ``(F, N)``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from frami.core import code
from frami.core.errors import OperationError

# What a function takes for one waveform (T,).
INPUTS: Mapping[str, Callable[[Tensor], Any]] = MappingProxyType(
    {
        "tensor": lambda waveform: waveform,
        "tensor-batch": lambda waveform: waveform.unsqueeze(0),
        "array": lambda waveform: waveform.detach().cpu().numpy(),
        "array-batch": lambda waveform: waveform.detach().cpu().numpy()[None],
    }
)


class FunctionSettings(Protocol):
    """The settings of a `frami.audio.frontend.FrontEnd` that are about its function."""

    @property
    def n_mels(self) -> int: ...

    @property
    def function(self) -> str: ...

    @property
    def function_input(self) -> str: ...

    @property
    def frames_first(self) -> bool: ...


def compute(settings: FunctionSettings, waveform: Tensor) -> Tensor:
    """Return the features ``(..., F, N)`` of waveforms ``(..., T)``, one clip after the other.

    Raises:
        OperationError: The function was not loaded, raises, or returns another shape than before.
    """
    clips = [_compute_one(settings, clip) for clip in waveform.reshape(-1, waveform.shape[-1])]
    return torch.stack(clips).reshape(*waveform.shape[:-1], *clips[0].shape)


def _compute_one(settings: FunctionSettings, waveform: Tensor) -> Tensor:
    function = code.find_function(settings.function)
    try:
        output = function(INPUTS[settings.function_input](waveform))
    except Exception as error:
        raise OperationError(code.describe_error(error, source_of(function))) from error
    features = as_matrix(output)
    features = features.T if settings.frames_first else features
    if features.dim() != 2 or len(features) != settings.n_mels:
        raise OperationError(
            f"The function {settings.function.partition('@')[0]} returned the shape "
            f"{tuple(np.shape(output))} for {len(waveform)} samples; {settings.n_mels} features "
            f"per frame were expected."
        )
    return features.to(waveform.device)


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
