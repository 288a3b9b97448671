"""Programs for ExecuTorch, with the kernels of XNNPACK, in float32 or 8-bit integers.

A program takes one clip of 16 to 4,096 frames. In 8 bits, every layer is quantized, those of
statistics pooling included.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from frami.core import files
from frami.core.environment import needs_extra
from frami.core.errors import OperationError
from frami.core.memory import raise_if_full
from frami.export.network import export_form
from frami.models.model import Model

# Below 16 frames, some networks have a single output frame, which the exporter takes as a constant.
FRAMES = (16, 4096)


def require_executorch() -> None:
    """Raise a UsageError with the command to type if the extra ``edge`` is not installed."""
    with needs_extra("edge", "The target executorch needs executorch and torchao"), _quiet():
        importlib.import_module("executorch.exir")
        importlib.import_module("torchao")


def write_program(
    model: Model, path: Path, calibration: Sequence[np.ndarray] | None = None
) -> None:
    """Write the network of a model as a program: ``features`` (1, F, N) to ``logits``.

    Args:
        model: The model.
        path: The file to write, with the suffix .pte.
        calibration: Batches ``(B, F, N)`` to quantize with; None for float32.

    Raises:
        UsageError: The network is not one of frami's.
        OperationError: ExecuTorch cannot convert the network.
    """
    form: Any = export_form(model)
    example = torch.zeros(1, model.front_end.n_mels, 4 * FRAMES[0])
    sizes = ({2: torch.export.Dim("frames", min=FRAMES[0], max=FRAMES[1])},)
    with _quiet():
        try:
            if calibration is not None:
                program = torch.export.export(form, (example,), dynamic_shapes=sizes)
                form = _quantize(program.module(), calibration)
            program = torch.export.export(form, (example,), dynamic_shapes=sizes)
            content = _lower(program)
        except Exception as error:
            raise_if_full(error)
            raise OperationError(
                f"ExecuTorch cannot convert the network {model.architecture.network!r}: "
                f"{str(error).strip().splitlines()[0]}"
            ) from error
    files.write_bytes(path, content)


def _quantize(module: Any, calibration: Sequence[np.ndarray]) -> Any:
    xnnpack = importlib.import_module("executorch.backends.xnnpack.quantizer.xnnpack_quantizer")
    pt2e = importlib.import_module("torchao.quantization.pt2e.quantize_pt2e")
    config = xnnpack.get_symmetric_quantization_config(is_per_channel=True)
    prepared = pt2e.prepare_pt2e(module, xnnpack.XNNPACKQuantizer().set_global(config))
    for batch in calibration:
        for clip in torch.from_numpy(batch):
            prepared(clip.unsqueeze(0))
    return pt2e.convert_pt2e(prepared)


def _lower(program: Any) -> bytes:
    backend = "executorch.backends.xnnpack.partition.xnnpack_partitioner"
    partitioner = importlib.import_module(backend).XnnpackPartitioner()
    exir = importlib.import_module("executorch.exir")
    lowered = exir.to_edge_transform_and_lower(program, partitioner=[partitioner])
    return bytes(lowered.to_executorch().buffer)


@dataclass(frozen=True)
class Program:
    """A program opened in ExecuTorch's runtime.

    Attributes:
        path: The file.
        method: Its method ``forward``.
    """

    path: Path
    method: Any

    @classmethod
    def open(cls, path: Path) -> Program:
        """Open a file."""
        with _quiet():
            runtime = importlib.import_module("executorch.runtime").Runtime.get()
            return cls(path, runtime.load_program(path).load_method("forward"))

    def __call__(self, features: Tensor) -> list[Tensor]:
        """Return the outputs for spectrograms ``(B, F, N)``, one clip after the other."""
        if not FRAMES[0] <= features.shape[2] <= FRAMES[1]:
            raise OperationError(
                f"A program of ExecuTorch takes clips of {FRAMES[0]} to {FRAMES[1]:,} frames; this "
                f"clip has {features.shape[2]}."
            )
        # The runtime writes the next result over the last one.
        clips = [
            [output.clone() for output in self.method.execute([clip.unsqueeze(0).contiguous()])]
            for clip in features
        ]
        return [torch.cat(outputs) for outputs in zip(*clips, strict=True)]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence warnings, logs, and what the C++ libraries print on standard error."""
    disabled, saved = logging.root.manager.disable, os.dup(2)
    logging.disable(logging.WARNING)
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(sink)
        logging.disable(disabled)
