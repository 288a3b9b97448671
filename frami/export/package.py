"""The files beside the model: front end, golden vectors, and an example that runs."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from frami.audio.numpy_reference import render_header, render_numpy
from frami.core import files
from frami.core.errors import OperationError
from frami.export.onnx_file import OnnxNetwork
from frami.models.model import Model
from frami.models.network import frozen

FEATURE_TOLERANCE = 1e-3
GOLDEN_SECONDS = 1.0

EXAMPLE = '''\
"""Classify a recording with the model beside this file: python example.py dog.wav

Needs numpy, onnxruntime and soundfile.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile

from front_end import SAMPLE_RATE, features

FOLDER = Path(__file__).resolve().parent
MODEL = FOLDER / "{model}"


def read(path):
    """Return a recording as one channel at SAMPLE_RATE."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    waveform = samples.mean(axis=1)
    if rate != SAMPLE_RATE:  # in the frequency domain: no aliases
        length = max(1, round(len(waveform) * SAMPLE_RATE / rate))
        waveform = np.fft.irfft(np.fft.rfft(waveform), length) * (length / len(waveform))
    return waveform


def main(path):
    session = onnxruntime.InferenceSession(MODEL, providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    labels, task = json.loads(about["labels"]), about["task"]
    logits = session.run(["logits"], {{"features": features(read(path))[None]}})[0][0]
    if task == "single-label":
        probabilities = np.exp(logits - logits.max())
        probabilities /= probabilities.sum()
    else:
        probabilities = 1 / (1 + np.exp(-logits))
    for index in np.argsort(-probabilities)[:5]:
        print(f"{{probabilities[index]:.3f}}  {{labels[index]}}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
'''


def write_front_end(model: Model, folder: Path) -> float:
    """Write the front end as JSON, NumPy module and C header; return the module's largest error.

    Raises:
        OperationError: The NumPy module does not give the features of the front end.
    """
    front_end = model.front_end
    # Every field, also those that a bundle leaves out: the readers of this file are not frami.
    settings = {field.name: getattr(front_end, field.name) for field in fields(front_end)}
    files.write_json(folder / "front_end.json", settings)
    source = render_numpy(front_end)
    files.write_bytes(folder / "front_end.py", source.encode())
    files.write_bytes(folder / "front_end.h", render_header(front_end).encode())
    module: dict[str, Any] = {}
    exec(compile(source, "front_end.py", "exec"), module)
    waveform = golden_waveform(front_end.sample_rate)
    # In double precision, as the module: float32 rounds bands far below the loudest one.
    expected = front_end(torch.from_numpy(waveform).double()).numpy()
    error = float(np.abs(module["features"](waveform) - expected).max())
    if not error <= FEATURE_TOLERANCE:
        raise OperationError(
            f"The front end in NumPy differs from this model's by up to {error:.2g}. This is a bug "
            f"in frami: please report the front end {json.dumps(settings)}."
        )
    return error


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


def write_example(folder: Path, model_file: str) -> None:
    """Write ``example.py``, which prints the top answers of a model file for a recording."""
    files.write_bytes(folder / "example.py", EXAMPLE.format(model=model_file).encode())
