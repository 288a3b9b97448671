"""ONNX files: equal to torch for every network and task, for any batch and any length."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import frami
from frami.core import registry
from frami.core.errors import OperationError, UsageError
from frami.export.network import export_form
from frami.export.onnx_file import OPSET, OnnxNetwork, require_onnx, write_onnx
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.models.network import Classifier
from frami.models.onnx_network import INPUT
from tests.conftest import LABELS, make_front_end, make_teacher

NETWORKS = registry.names("students") + registry.names("teachers")
SHAPES = [(1, 1), (1, 9), (2, 67), (5, 40), (5, 131)]


def make_model(network: str, task: str, projection: int = 0) -> Model:
    torch.manual_seed(1)
    front_end = make_front_end()
    architecture = Architecture(network, {"width": 4, "depth": 2, "embedding": 8}, projection)
    model = Model.build(architecture, front_end, LABELS, task)
    with torch.no_grad():
        for _ in range(20):
            model.network.train()(torch.randn(8, front_end.n_mels, 20))
    model.network.eval().requires_grad_(False)
    return model


def largest_difference(model: Model, path: Path, batch: int, n_frames: int) -> float:
    features = torch.randn(batch, model.front_end.n_mels, n_frames)
    expected = model.network(features)
    outputs = OnnxNetwork.open(path)(features)
    wanted = [expected.logits]
    wanted += [] if expected.frame_logits is None else [expected.frame_logits]
    assert [tuple(output.shape) for output in outputs] == [tuple(one.shape) for one in wanted]
    return max(
        float((torch.from_numpy(output) - one).abs().max())
        for output, one in zip(outputs, wanted, strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "task"),
    # The network of multi-label is that of single-label.
    [*product(NETWORKS, ("single-label", "sound-events")), ("small", "multi-label")],
)
def test_onnx_equals_torch_for_any_batch_and_length(
    network: str, task: str, tmp_path: Path
) -> None:
    model = make_model(network, task)
    write_onnx(model, tmp_path / "model.onnx")
    differences = {
        shape: largest_difference(model, tmp_path / "model.onnx", *shape) for shape in SHAPES
    }
    assert max(differences.values()) < 1e-5, differences


@pytest.mark.slow
def test_onnx_of_a_student_with_its_teachers_head(tmp_path: Path) -> None:
    model = make_model("dscnn", "single-label", projection=12)
    write_onnx(model, tmp_path / "model.onnx")
    assert largest_difference(model, tmp_path / "model.onnx", 3, 50) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("network", ["small", "secrnn"])  # one for each exporter of torch
def test_file_names_sizes_labels_and_fingerprint(network: str, tmp_path: Path) -> None:
    model = make_model(network, "sound-events")
    write_onnx(model, tmp_path / "model.onnx")
    proto = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(proto, full_check=True)
    assert proto.opset_import[0].version == OPSET
    values = {entry.key: entry.value for entry in proto.metadata_props}
    assert json.loads(values["labels"]) == list(LABELS)
    assert values["fingerprint"] == model.fingerprint
    sizes = {
        value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in (*proto.graph.input, *proto.graph.output)
    }
    assert sizes == {
        "features": ["batch", 24, "frames"],
        "logits": ["batch", 3],
        "frame_logits": ["batch", 3, "output_frames"],
    }


@pytest.mark.slow
def test_prediction_works_after_an_export_with_a_front_end_that_was_never_used(
    tmp_path: Path,
) -> None:
    front_end = replace(make_front_end(), f_max=3999.0)
    model = make_teacher(front_end, "small")
    write_onnx(model, tmp_path / "model.onnx")
    logits = model.predict(0.1 * torch.randn(4000)).logits
    assert type(logits) is torch.Tensor
    assert bool(logits.isfinite().all())


def test_export_leaves_the_network_as_it_was(teacher: Model) -> None:
    form = export_form(teacher)
    form.requires_grad_(True).train()
    assert not teacher.network.training
    assert not any(parameter.requires_grad for parameter in teacher.network.parameters())


def test_network_of_the_users_own_code_is_refused(teacher: Model) -> None:
    class Foreign(Classifier):
        classes = len(LABELS)

    foreign = Model(teacher.architecture, Foreign(), teacher.front_end, LABELS)
    with pytest.raises(UsageError, match="Distill a student from it"):
        export_form(foreign)


def test_missing_extra_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r"needs onnx, onnxruntime.*Type: pip install"):
        require_onnx()


def test_names_in_a_file_do_not_reach_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    node = onnx.helper.make_node("Reshape", [INPUT, "shape"], ["logits"], name="\x1b[31mname")
    float32, int64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    graph = onnx.helper.make_graph(
        [node],
        "graph",
        [onnx.helper.make_tensor_value_info(INPUT, float32, [1, 2, 3])],
        [onnx.helper.make_tensor_value_info("logits", float32, None)],
        [onnx.helper.make_tensor("shape", int64, [2], [7, 7])],
    )
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=9
    )
    onnx.save(model, tmp_path / "a.onnx")
    with pytest.raises(OperationError):
        OnnxNetwork.open(tmp_path / "a.onnx")(np.zeros((1, 2, 3), np.float32))
    assert capfd.readouterr().err == ""  # a line of onnxruntime would have the name


def test_onnxruntime_keeps_and_sends_no_record_of_its_use(tmp_path: Path) -> None:
    """Else it keeps a number of the machine in the cache of the user, and sends it."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    program = "import frami, onnxruntime; onnxruntime.get_available_providers()"
    source = Path(frami.__file__).resolve().parents[1]
    command = [sys.executable, "-c", program]
    subprocess.run(command, check=True, cwd=source, env=environment)
    assert not list(tmp_path.rglob("*"))
