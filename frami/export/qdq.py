"""The nodes of an ONNX file in 8-bit integers, and the steps of onnxruntime that make them."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from frami.core.errors import OperationError
from frami.core.memory import raise_if_full
from frami.models.onnx_network import INPUT

WEIGHTED = ("Conv", "Gemm", "MatMul")
QUANTIZED = (*WEIGHTED, "Relu", "Add", "Mul", "AveragePool")
RECURRENT = ("GRU", "LSTM", "RNN")


def layer_of(node: Any) -> str:
    """Return the name of a node's layer in the network, as far as the file shows it."""
    weight = node.input[1] if len(node.input) > 1 else ""
    if weight.endswith(".weight") and not weight.startswith("onnx::"):
        return str(weight.removesuffix(".weight"))
    return str(node.name.strip("/").replace("/", "."))


def nodes_around_roots(graph: Any) -> set[str]:
    """Return the square roots of a graph, and the nodes that lead to them from a layer."""
    makers = {name: node for node in graph.node for name in node.output}
    found: set[str] = set()
    pending = [node for node in graph.node if node.op_type == "Sqrt"]
    while pending:
        node = pending.pop()
        if node.name in found or node.op_type in (*WEIGHTED, *RECURRENT, "Relu"):
            continue
        found.add(node.name)
        pending += [makers[name] for name in node.input if name in makers]
    return found


def nodes_after_weights(graph: Any) -> set[str]:
    """Return the nodes after which no layer with weights comes."""
    feeds_weights: set[str] = set()
    found: set[str] = set()
    for node in reversed(graph.node):
        if node.op_type in (*WEIGHTED, *RECURRENT) or feeds_weights & set(node.output):
            feeds_weights |= set(node.input)
        else:
            found.add(node.name)
    return found


def describe_float(graph: Any, roots: set[str], tail: set[str]) -> tuple[str, ...]:
    """Return names for the parts of a graph that always stay float."""
    recurrent = any(node.op_type in RECURRENT for node in graph.node)
    parts = {
        "statistics pooling": bool(roots),
        "recurrent layers": recurrent,
        "pooling of probabilities": bool(tail),
    }
    return tuple(name for name, present in parts.items() if present)


def prepare(path: Path, out: Path) -> None:
    """Fold and fuse the operators of a float file, and infer the shapes of all results."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with _quiet():
        try:
            quant_pre_process(path, out, skip_symbolic_shape=True)
        except Exception as error:
            raise_if_full(error)
            raise OperationError(f"onnxruntime cannot prepare {path}: {error}") from error


def quantize(
    path: Path, out: Path, batches: Sequence[np.ndarray], method: str, nodes: list[str]
) -> None:
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        """Hand out the calibration batches, one after the other."""

        def __init__(self) -> None:
            self.batches = iter(batches)

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self.batches, None)
            return None if batch is None else {INPUT: batch}

    with _quiet():
        try:
            quantization.quantize_static(
                path,
                out,
                Reader(),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                activation_type=quantization.QuantType.QInt8,
                weight_type=quantization.QuantType.QInt8,
                op_types_to_quantize=list(QUANTIZED),
                nodes_to_quantize=nodes,
                calibrate_method=getattr(quantization.CalibrationMethod, method),
            )
        except Exception as error:
            raise_if_full(error)
            raise OperationError(
                f"onnxruntime cannot quantize {path} with the method {method}: {error}"
            ) from error


def with_float_outputs(path: Path, float_nodes: set[str]) -> bytes:
    """Return a quantized file without the rounding of results that no quantized layer reads.

    Args:
        path: The quantized file.
        float_nodes: Nodes that take float.
    """
    import onnx

    proto = onnx.load(path)
    makers = {name: node for node in proto.graph.node for name in node.output}
    outputs = {output.name for output in proto.graph.output}
    for last in [node for node in proto.graph.node if node.op_type == "DequantizeLinear"]:
        readers = [node for node in proto.graph.node if last.output[0] in node.input]
        rounding = makers.get(last.input[0])
        if rounding is None or any(node.name not in float_nodes for node in readers):
            continue
        layer = makers.get(rounding.input[0])
        if layer is None or not (readers or last.output[0] in outputs):
            continue
        name, rounded = last.output[0], rounding.input[0]
        for node in (last, rounding):
            proto.graph.node.remove(node)
        for node in proto.graph.node:
            node.input[:] = [name if one == rounded else one for one in node.input]
        layer.output[:] = [name if one == rounded else one for one in layer.output]
    used = {name for node in proto.graph.node for name in node.input}
    for tensor in [one for one in proto.graph.initializer if one.name not in used]:
        proto.graph.initializer.remove(tensor)
    content: bytes = proto.SerializeToString()
    return content


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence what onnxruntime's quantization prints and logs."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(disabled)
