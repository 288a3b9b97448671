"""Predictions by the ONNX files of an export, in onnxruntime on one core."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from frami.audio.frontend import FrontEnd
from frami.core import code
from frami.core.checks import check_frame_range
from frami.core.errors import OperationError, UsageError
from frami.core.files import expand
from frami.core.json_files import parse_json, parse_object, parse_texts
from frami.core.memory import raise_if_full
from frami.core.settings import settings_from_json
from frami.models.onnx_network import OnnxNetwork
from frami.models.tasks import find_task
from frami.prediction.predictor import Predictor

# The files of an export, the one that answers for the folder first.
FILES = ("model.int8.onnx", "model.onnx")
SUFFIX = ".onnx"


def find_model_file(model: object) -> Path | None:
    """Return the ONNX file that ``model`` names; None if it names no export.

    Args:
        model: An ONNX file, or the folder of an export: its 8-bit file if there is one.

    Raises:
        UsageError: There is no such file.
    """
    if not isinstance(model, str | Path):
        return None
    path = expand(model)
    if path.suffix == SUFFIX:
        if not path.is_file():
            raise UsageError(f"There is no file {str(model)!r}.")
        return path
    if (path / "model.json").is_file() or not (path / "front_end.json").is_file():
        return None
    return next((path / name for name in FILES if (path / name).is_file()), None)


def open_exported(path: Path) -> Predictor:
    """Return the predictor of an ONNX file, with the front end and labels of its metadata.

    Raises:
        UsageError: onnxruntime is not installed.
        OperationError: The file is broken or was not exported by frami, or its features need code
            that is not trusted.
    """
    network = OnnxNetwork.open(path)
    about = network.metadata
    source = f"The metadata of {path}"
    if lacking := [name for name in ("labels", "task", "front_end") if name not in about]:
        raise OperationError(
            f"{path} names no {lacking[0].replace('_', ' ')}: frami export did not write it. Only "
            f"files of frami export can answer sounds."
        )
    front_end = settings_from_json(FrontEnd, parse_object(about["front_end"], source), source)
    if front_end.function:
        code.load_reference(path.parent, front_end.function)
    usual = [front_end.n_frames(1.0)] * 2  # of files that do not name it
    frame_range = parse_json(about["frame_range"], source) if "frame_range" in about else usual
    try:
        task, limits = find_task(about["task"]), check_frame_range(frame_range)
    except UsageError as error:
        raise OperationError(f"{source} is damaged ({error}). Export it again.") from error

    def run(mel: Tensor) -> Tensor:
        try:
            logits, *frames = map(torch.from_numpy, network(mel))
            return torch.cat([logits.unsqueeze(2), *frames], dim=2) if frames else logits
        except (TypeError, ValueError, IndexError, RuntimeError) as error:  # other outputs
            raise_if_full(error)
            raise OperationError(
                f"{path} does not give the outputs of an export. Export it again."
            ) from error

    return Predictor(
        parse_texts(about["labels"], source),
        task,
        front_end,
        limits,
        run,
    )
