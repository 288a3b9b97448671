"""Write a network as an ONNX file."""

from __future__ import annotations

import importlib
import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from frami.core import files
from frami.core.environment import needs_extra
from frami.core.errors import OperationError
from frami.core.memory import raise_if_full
from frami.core.settings import settings_to_json
from frami.export.network import ExportForm, export_form
from frami.models.model import Model
from frami.models.network import frozen
from frami.models.onnx_network import INPUT
from frami.models.onnx_network import OnnxNetwork as OnnxNetwork

OPSET = 18
# A batch or a length of 1 would become a constant. No network has this number of channels.
EXAMPLE_BATCH, EXAMPLE_FRAMES = 2, 67
MAX_BATCH = 65_535
# Largest difference of a probability between torch and a float file.
FLOAT_TOLERANCE = 1e-4


def require_onnx() -> None:
    """Raise a UsageError with the command to type if the extra ``export`` is not installed."""
    with needs_extra("export", "Export needs onnx, onnxruntime and onnxscript"):
        for name in ("onnx", "onnxruntime", "onnxscript"):
            importlib.import_module(name)


def write_onnx(model: Model, path: Path) -> None:
    """Write the network of a model: ``features`` (B, F, N) to ``logits``, for any B and N.

    The front end is not part of the file. Its metadata holds the labels, the task, the front end
    and the fingerprint.

    Raises:
        UsageError: The network is not one of frami's.
        OperationError: The exporter of torch cannot convert the network.
    """
    form = export_form(model)
    example = torch.zeros(EXAMPLE_BATCH, model.front_end.n_mels, EXAMPLE_FRAMES)
    with _quiet():
        try:
            # torch 2.13's exporter cannot convert a recurrent layer of dynamic length.
            content = (_trace if form.is_recurrent else _export)(form, example)
        except Exception as error:
            raise_if_full(error)
            raise OperationError(
                f"torch cannot export the network {model.architecture.network!r} to ONNX: "
                f"{str(error).strip().splitlines()[0]}"
            ) from error
    files.write_bytes(path, with_metadata(_with_readable_sizes(content), metadata(model)))


def _export(form: ExportForm, example: Tensor) -> bytes:
    sizes = {0: torch.export.Dim("batch", min=1, max=MAX_BATCH), 2: torch.export.Dim.AUTO}
    program = torch.onnx.export(
        form,
        (example,),
        dynamo=True,
        dynamic_shapes=(sizes,),
        input_names=[INPUT],
        output_names=list(form.outputs),
        opset_version=OPSET,
        verbose=False,
        external_data=False,
    )
    assert program is not None
    content: bytes = program.model_proto.SerializeToString()
    return content


def _trace(form: ExportForm, example: Tensor) -> bytes:
    buffer = io.BytesIO()
    torch.onnx.export(
        form,
        (example,),
        buffer,  # type: ignore[arg-type]
        dynamo=False,
        dynamic_axes={
            INPUT: {0: "batch", 2: "frames"},
            "logits": {0: "batch"},
            "frame_logits": {0: "batch", 2: "output_frames"},
        },
        input_names=[INPUT],
        output_names=list(form.outputs),
        opset_version=OPSET,
    )
    return buffer.getvalue()


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the warnings and log lines of the exporters; failures are raised all the same."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def metadata(model: Model) -> dict[str, str]:
    """Return what the metadata of a file says about its model."""
    return {
        "labels": json.dumps(list(model.labels), ensure_ascii=False),
        "task": model.task,
        "fingerprint": model.fingerprint,
        "front_end": json.dumps(settings_to_json(model.front_end)),
        "frame_range": json.dumps(list(model.frame_range)),
    }


def with_metadata(content: bytes, values: Mapping[str, str]) -> bytes:
    """Return an ONNX file with this metadata, and without what the exporter noted."""
    import onnx

    proto = onnx.load_from_string(content)
    del proto.metadata_props[:]
    onnx.helper.set_model_props(proto, dict(values))
    proto.producer_name = "frami"
    # The sizes of intermediate results are inferred when the file is read. The source lines that
    # torch notes for each node would take more space than the weights of a small network.
    del proto.graph.value_info[:]
    del proto.graph.metadata_props[:]
    for item in (*proto.graph.node, *proto.graph.initializer, *proto.graph.input):
        del item.metadata_props[:]
        item.doc_string = ""
    changed: bytes = proto.SerializeToString()
    return changed


def _with_readable_sizes(content: bytes) -> bytes:
    """Return an ONNX file whose dynamic sizes are named batch, frames and output_frames."""
    import onnx

    proto = onnx.load_from_string(content)
    frames = proto.graph.input[0].type.tensor_type.shape.dim[2].dim_param
    for value in (*proto.graph.input, *proto.graph.output):
        for axis, size in enumerate(value.type.tensor_type.shape.dim):
            if size.dim_param:
                size.dim_param = _size_name(axis, is_input=size.dim_param == frames)
    renamed: bytes = proto.SerializeToString()
    return renamed


def _size_name(axis: int, *, is_input: bool) -> str:
    if axis == 0:
        return "batch"
    return "frames" if is_input else "output_frames"


def check_probabilities(model: Model, network: OnnxNetwork) -> None:
    """Refuse a float file whose probabilities differ from torch's.

    Raises:
        OperationError: A probability differs by more than `FLOAT_TOLERANCE`.
    """
    front_end = model.front_end
    shape = 2, front_end.n_mels, front_end.n_frames(1.0)
    features = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode(), frozen(model.network):
        expected = model.network(features).logits
    wanted, found = (
        model.network.task.class_probabilities(logits)
        for logits in (expected, torch.from_numpy(network(features)[0]))
    )
    difference = float((wanted - found).abs().max())
    if not difference <= FLOAT_TOLERANCE:
        raise OperationError(
            f"The probabilities of the ONNX file differ from the student's by up to "
            f"{difference:.2g}; {FLOAT_TOLERANCE:.0e} is allowed. Nothing was written."
        )
