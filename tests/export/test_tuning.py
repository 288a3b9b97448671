"""Tuning: rounding as a reference does it, its gradient, and what training with it gains."""

from __future__ import annotations

import numpy as np
import onnxruntime
import torch
from onnx import TensorProto, helper
from torch import Tensor

from frami.core.runtime import Runtime
from frami.export.tuning import input_ranges, round_input, round_weight, rounded, tune
from frami.models.model import Model
from tests.export.test_int8 import random_clips


def quantize_with_onnx(values: Tensor, scale: Tensor, zero: int) -> np.ndarray:
    """Return values rounded by the operators of an exported file, along the first axis."""
    zeros = helper.make_tensor("zero", TensorProto.INT8, scale.shape, [zero] * scale.numel())
    scales = helper.make_tensor("scale", TensorProto.FLOAT, scale.shape, scale.tolist())
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], axis=0),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"], axis=0),
    ]
    shape = list(values.shape)
    graph = helper.make_graph(
        nodes,
        "rounding",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [scales, zeros],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    result: np.ndarray = session.run(None, {"x": values.numpy()})[0]
    return result


def test_rounded_weights_are_those_of_an_exported_file() -> None:
    weight = torch.randn(5, 3, 3, 3) * torch.tensor([0.0, 1e-3, 1, 10, 1e3]).view(-1, 1, 1, 1)
    scale = weight.flatten(1).abs().amax(dim=1).clamp_min(1e-12) / 127
    np.testing.assert_allclose(
        round_weight(weight).numpy(), quantize_with_onnx(weight, scale, 0), rtol=1e-5
    )


def test_rounded_inputs_are_those_of_an_exported_file() -> None:
    value, limits = torch.randn(4, 100) * 3, (-2.0, 3.1)
    scale = torch.tensor((limits[1] - limits[0]) / 255)
    zero = round(2.0 / float(scale)) - 128
    np.testing.assert_allclose(
        round_input(value, limits).numpy(), quantize_with_onnx(value, scale, zero), atol=1e-5
    )


def test_gradient_passes_through_rounding_but_not_through_clipping() -> None:
    value = torch.tensor([-5.0, -0.3, 0.4, 5.0], requires_grad=True)
    total = (round_input(value, (-1.0, 1.0)) * torch.tensor([1.0, 2.0, 3.0, 4.0])).sum()
    (gradient,) = torch.autograd.grad(total, value)
    assert gradient.tolist() == [0.0, 2.0, 3.0, 0.0]


def test_network_is_as_it_was_after_rounding(teacher: Model) -> None:
    names = set(teacher.network.state_dict())
    features = torch.randn(2, 24, 20)
    before = teacher.network(features).logits
    ranges = input_ranges(teacher.network, [features.numpy()])
    with rounded(teacher.network, ranges):
        assert not teacher.network(features).logits.equal(before)
    assert set(teacher.network.state_dict()) == names
    assert teacher.network(features).logits.equal(before)


def test_tuning_changes_weights_but_not_the_student_or_batch_norm_statistics(
    teacher: Model, runtime: Runtime
) -> None:
    clips = random_clips(16)
    batch = torch.stack(clips.mels).float()
    before = {name: value.clone() for name, value in teacher.network.state_dict().items()}
    tuned = tune(teacher, clips, [batch.numpy()], runtime, steps=2)
    assert all(before[name].equal(value) for name, value in teacher.network.state_dict().items())
    after = tuned.network.state_dict()
    assert set(after) == set(before)
    changed = {name for name, value in after.items() if not value.equal(before[name])}
    assert not [name for name in changed if "running" in name or "num_batches" in name]
    assert "encoder.0.weight" in changed
    assert "head.classifier.weight" in changed
