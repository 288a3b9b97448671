"""A front end of the user's own function as a module: it calls the function and standardizes."""

from __future__ import annotations

from frami.audio.frontend import FrontEnd
from frami.core.code import EXPORTED_FILE, Reference

# What the function takes for the samples (T,), as in `frami.audio.user_function.INPUTS`.
ARGUMENTS = {
    "tensor": "torch.from_numpy(samples)",
    "tensor-batch": "torch.from_numpy(samples[None])",
    "array": "samples",
    "array-batch": "samples[None]",
}


def render_function_module(front_end: FrontEnd) -> str:
    """Return the source of a module with a function ``features(waveform) -> (F, N)``.

    It imports the function of the user's own: from the file ``features.py`` beside it, or from the
    module that the front end refers to.
    """
    place, _, name = Reference.parse(front_end.function).entry.partition(":")
    is_file = place.endswith(".py")
    module = EXPORTED_FILE.removesuffix(".py") if is_file else place
    origin = f"{EXPORTED_FILE}, a copy of {place}" if is_file else f"the module {place}"
    torch = "import torch\n" if front_end.function_input.startswith("tensor") else ""
    return f'''"""The front end of a model, written by frami. It calls {name} of {origin}.

A device must compute the same values; golden.npz holds features to compare with.
"""

import numpy as np
{torch}from {module} import {name} as user_function

SAMPLE_RATE = {front_end.sample_rate}  # Hz
LEAST_SAMPLES = {front_end.min_samples}
MEAN, STD = {front_end.mean!r}, {front_end.std!r}


def features(waveform):
    """Return the features (F, N) float32 of mono samples (T,) in [-1, 1] at SAMPLE_RATE."""
    samples = np.asarray(waveform, dtype=np.float32)
    if len(samples) < LEAST_SAMPLES:  # too short: repeated
        samples = np.resize(samples, LEAST_SAMPLES)
    values = np.asarray(user_function({ARGUMENTS[front_end.function_input]}), dtype=np.float32)
    while values.ndim > 2:  # dimensions of size 1 around the matrix
        values = values[0] if values.shape[0] == 1 else values[..., 0]
    return (values{".T" if front_end.frames_first else ""} - np.float32(MEAN)) / np.float32(STD)
'''
