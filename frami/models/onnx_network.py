"""Run an ONNX file with onnxruntime."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from frami.core.environment import needs_extra
from frami.core.errors import OperationError
from frami.core.files import reraise_os_errors
from frami.core.memory import raise_if_full

INPUT = "features"
# Operators that compile a pattern, after the length of their name. The library for patterns writes
# a wrong one to the terminal as it is, and nothing can silence it.
PATTERN_OPERATORS = re.compile(rb"[\0\x09](Tokenizer)|[\0\x0e](RegexFullMatch)")
MAX_BYTES, BLOCK_BYTES = 1 << 31, 1 << 20  # protobuf reads no larger file
SILENT = 4  # log only what ends the process: a line would bring names to the terminal


@dataclass(frozen=True)
class OnnxNetwork:
    """An ONNX file opened in onnxruntime, on one thread of the CPU.

    Attributes:
        path: The file.
        session: The session of onnxruntime.
    """

    path: Path
    session: Any

    @classmethod
    def open(cls, path: Path) -> OnnxNetwork:
        """Open a file.

        Raises:
            UsageError: onnxruntime is not installed.
            OperationError: onnxruntime refuses the file, or it has an operator of texts.
        """
        _check_operators(path)
        with needs_extra("export", "ONNX files need onnxruntime"):
            import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = SILENT
        onnxruntime.set_default_logger_severity(SILENT)  # of what belongs to no session
        try:
            session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors share no base class
            raise_if_full(error)
            raise OperationError(f"onnxruntime cannot open {path}: {error}") from error
        return cls(path, session)

    @property
    def metadata(self) -> dict[str, str]:
        """The metadata of the file."""
        try:
            return dict(self.session.get_modelmeta().custom_metadata_map)
        except UnicodeDecodeError as error:
            raise OperationError(f"The metadata of {self.path} is not text ({error}).") from error

    def __call__(self, features: np.ndarray | Tensor) -> list[np.ndarray]:
        """Return the outputs for standardized spectrograms ``(B, F, N)``.

        Raises:
            OperationError: onnxruntime refuses the input.
        """
        values = np.ascontiguousarray(np.asarray(features, dtype=np.float32))
        try:
            outputs: list[np.ndarray] = self.session.run(None, {INPUT: values})
        except Exception as error:
            raise_if_full(error)
            raise OperationError(f"{self.path} cannot take {values.shape}: {error}") from error
        return outputs


def _check_operators(path: Path) -> None:
    """Raise an OperationError if a file has an operator that compiles a pattern."""
    with reraise_os_errors("read"), path.open("rb") as file:
        tail = b""
        for _ in range(MAX_BYTES // BLOCK_BYTES):
            block = file.read(BLOCK_BYTES)
            if found := PATTERN_OPERATORS.search(tail + block):
                name = (found[1] or found[2]).decode()
                raise OperationError(
                    f"{path} has the operator {name} for texts, which frami export does not write. "
                    f"Export it again."
                )
            if not block:
                return
            tail = block[-16:]
