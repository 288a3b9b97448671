"""The memory of intermediate results, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from frami.export.footprint import activation_bytes

onnx = pytest.importorskip("onnx")
BANDS, FRAMES = 8, 100


def write_layer(path: Path, *, is_float: bool) -> None:
    """Write a convolution between 8-bit results, with float or with 8-bit weights."""
    node, scales = onnx.helper.make_node, ["scale", "zero"]
    weights = np.ones((BANDS, BANDS, 1), np.float32 if is_float else np.int8)
    values = {"scale": np.float32(0.1), "zero": np.int8(0), "weights": weights}
    tensor_type = onnx.TensorProto.FLOAT
    nodes = [
        node("QuantizeLinear", ["features", *scales], ["in8"]),
        node("DequantizeLinear", ["in8", *scales], ["in"]),
        *([] if is_float else [node("DequantizeLinear", ["weights", *scales], ["weights_float"])]),
        node("Conv", ["in", "weights" if is_float else "weights_float"], ["out"]),
        node("Relu", ["out"], ["relu"]),
        node("QuantizeLinear", ["relu", *scales], ["out8"]),
        node("DequantizeLinear", ["out8", *scales], ["again"]),
        node("ReduceMean", ["again"], ["logits"], keepdims=0),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "layer",
        [onnx.helper.make_tensor_value_info("features", tensor_type, [1, BANDS, FRAMES])],
        [onnx.helper.make_tensor_value_info("logits", tensor_type, None)],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()],
    )
    opsets = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), path)


@pytest.mark.parametrize(("is_float", "bytes_per_value"), [(False, 1), (True, 4)])
def test_a_layer_that_stays_float_needs_floats(
    is_float: bool, bytes_per_value: int, tmp_path: Path
) -> None:
    write_layer(tmp_path / "layer.onnx", is_float=is_float)
    features = np.zeros((1, BANDS, FRAMES), np.float32)
    expected = 2 * bytes_per_value * features.size  # what the layer reads and what it writes
    assert activation_bytes(tmp_path / "layer.onnx", features) == expected
