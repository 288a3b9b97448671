"""The files beside the model: the front end, and golden vectors."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from frami.audio.frontend import FrontEnd
from frami.audio.function_module import render_function_module
from frami.audio.numpy_reference import render_header, render_numpy
from frami.core import code, files
from frami.core.errors import OperationError
from frami.export.onnx_file import OnnxNetwork
from frami.models.model import Model
from frami.models.network import frozen

FEATURE_TOLERANCE = 1e-3
GOLDEN_SECONDS = 1.0


def write_front_end(model: Model, folder: Path) -> float:
    """Write the front end as JSON, Python module and C header; return the module's largest error.

    A function of the user's own has no C header. Its source is copied, and the module calls it.

    Raises:
        OperationError: The module does not give the features of the front end.
    """
    front_end = model.front_end
    # Every field, also those that a bundle leaves out: the readers of this file are not frami.
    settings = {field.name: getattr(front_end, field.name) for field in fields(front_end)}
    files.write_json(folder / "front_end.json", settings)
    waveform = golden_waveform(front_end.sample_rate)
    if front_end.function:
        source = render_function_module(front_end)
        if code.Reference.parse(front_end.function).is_file:
            files.write_bytes(folder / code.EXPORTED_FILE, code.source_of(front_end.function))
        expected = front_end(torch.from_numpy(waveform))
    else:
        source = render_numpy(front_end)
        files.write_bytes(folder / "front_end.h", render_header(front_end).encode())
        # In double precision, as the module: float32 rounds bands far below the loudest one.
        expected = front_end(torch.from_numpy(waveform).double())
    files.write_bytes(folder / "front_end.py", source.encode())
    error = float(np.abs(_run_module(source, front_end)(waveform) - expected.numpy()).max())
    if not error <= FEATURE_TOLERANCE:
        raise OperationError(
            f"front_end.py differs from this model's front end by up to {error:.2g}. This is a bug "
            f"in frami: please report the front end {json.dumps(settings)}."
        )
    return error


def _run_module(source: str, front_end: FrontEnd) -> Callable[[np.ndarray], np.ndarray]:
    """Return ``features`` of a module; it gets the user's function as it is loaded."""
    module_globals: dict[str, Any] = {}
    name = code.EXPORTED_FILE.removesuffix(".py")
    before = sys.modules.get(name)
    if front_end.function:
        sys.modules[name] = ModuleType(name)
        function = code.Reference.parse(front_end.function).entry.rpartition(":")[2]
        setattr(sys.modules[name], function, code.find_function(front_end.function))
    try:
        # frami wrote this source; the only texts in it are checked settings.
        exec(compile(source, "front_end.py", "exec"), module_globals)  # noqa: S102
    finally:
        sys.modules.pop(name, None)
        if before is not None:
            sys.modules[name] = before
    features: Callable[[np.ndarray], np.ndarray] = module_globals["features"]
    return features


def golden_waveform(sample_rate: int) -> np.ndarray:
    """Return a sweep through all frequencies over noise that grows, ``(T,)`` float32."""
    time = np.arange(round(GOLDEN_SECONDS * sample_rate)) / sample_rate
    sweep = np.sin(np.pi * sample_rate / 2 / GOLDEN_SECONDS * time**2)
    noise = np.random.default_rng(0).standard_normal(len(time))
    return (0.3 * sweep + 0.1 * noise * time / GOLDEN_SECONDS).astype(np.float32)


def write_golden(model: Model, folder: Path, networks: dict[str, OnnxNetwork]) -> None:
    """Write ``golden.npz``: waveform, features, torch's logits, and the logits of each file."""
    waveform = golden_waveform(model.front_end.sample_rate)
    features = model.front_end(torch.from_numpy(waveform))
    with torch.no_grad(), frozen(model.network):
        logits = model.network(features.unsqueeze(0)).logits[0]
    arrays = {"waveform": waveform, "features": features.numpy(), "logits": logits.numpy()}
    for name, network in networks.items():
        arrays[f"logits_{name}"] = network(features.unsqueeze(0))[0][0]
    with files.reraise_os_errors():
        np.savez(folder / "golden.npz", allow_pickle=False, **arrays)
