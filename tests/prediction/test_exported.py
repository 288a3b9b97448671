"""Answers of exported files equal those of the student."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from frami.audio.features import front_end_of
from frami.core import code
from frami.core.errors import FramiError, OperationError, UsageError
from frami.data.store import Store
from frami.export.export import export_student
from frami.export.onnx_file import write_onnx
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.prediction.exported import find_model_file
from frami.prediction.predict import predict
from frami.prediction.streaming import Stream
from tests.conftest import LABELS, make_front_end
from tests.prediction.test_streaming import loud_and_quiet, make_detector

RATE = 8000


@pytest.fixture
def path(teacher: Model, tmp_path: Path) -> Path:
    write_onnx(teacher, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


@pytest.mark.slow
def test_a_file_answers_as_its_student(path: Path, teacher: Model) -> None:
    for samples, options in (
        (loud_and_quiet(3.0), {}),
        (loud_and_quiet(3.0), {"window": 1.0, "hop": 0.5}),
        (loud_and_quiet(0.05), {}),  # repeated up to 0.25 s
    ):
        answers = predict(path, samples, RATE, **options)
        expected = predict(teacher, samples, RATE, **options)
        assert len(answers) == len(expected)
        for one, other in zip(answers, expected, strict=True):
            assert (one.onset, one.offset, one.labels) == (other.onset, other.offset, LABELS)
            np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-4)
    # Without a window, a long sound is cut as for the student: by the lengths of training clips.
    assert Stream(path).predictor.frame_range == teacher.frame_range


@pytest.mark.slow
def test_a_detectors_file_finds_the_same_events(tmp_path: Path) -> None:
    detector = make_detector(make_front_end(), "small")
    write_onnx(detector, tmp_path / "model.onnx")
    (answer,) = predict(tmp_path / "model.onnx", loud_and_quiet(4.0), RATE)
    (expected,) = predict(detector, loud_and_quiet(4.0), RATE)
    assert answer.events and answer.events == expected.events
    np.testing.assert_allclose(answer.probabilities, expected.probabilities, atol=1e-4)


@pytest.mark.slow
def test_the_folder_answers_with_int8_if_there_is_one(
    teacher: Model, store: Store, tmp_path: Path
) -> None:
    folder = export_student(teacher, tmp_path / "ship", samples=store, int8=True).folder
    assert find_model_file(folder) == folder / "model.int8.onnx"
    golden = np.load(folder / "golden.npz")
    for model, name in ((folder, "logits_int8"), (folder / "model.onnx", "logits")):
        (answer,) = predict(model, golden["waveform"], RATE)
        expected = torch.from_numpy(golden[name]).softmax(0).numpy()
        np.testing.assert_allclose(answer.probabilities, expected, atol=1e-4)
    (folder / "model.int8.onnx").unlink()
    assert find_model_file(str(folder)) == folder / "model.onnx"


@pytest.fixture
def own_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    (tmp_path / "mine.py").write_text(
        "def mel(waveform):\n    return waveform.unfold(0, 128, 128)[:, :24].abs()\n"
    )
    front_end = front_end_of(f"{tmp_path / 'mine.py'}:mel", RATE)
    model = Model.build(Architecture("small", {"width": 4}), front_end, LABELS)
    model.network.eval().requires_grad_(False)
    yield model


@pytest.mark.slow
def test_features_of_the_users_own_need_trust(
    own_features: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = loud_and_quiet(1.0)
    (expected,) = predict(own_features, sound, RATE)
    folder = export_student(own_features, tmp_path / "ship").folder
    assert code.is_needed_by(folder)
    monkeypatch.setattr(code, "_functions", {})
    with pytest.raises(UsageError, match="runs code of its own .mine.py:mel"):
        predict(folder, sound, RATE)
    with code.trusting_code():
        (answer,) = predict(folder, sound, RATE)
    np.testing.assert_allclose(answer.probabilities, expected.probabilities, atol=1e-4)
    monkeypatch.setattr(code, "_functions", {})
    (folder / "features.py").write_text("def mel(waveform):\n    return 0\n")
    with code.trusting_code(), pytest.raises(OperationError, match="other code of mine.py:mel"):
        predict(folder, sound, RATE)


def test_other_files_are_refused_in_one_sentence(path: Path, tmp_path: Path) -> None:
    proto = onnx.load(path)
    del proto.metadata_props[:]
    onnx.save(proto, tmp_path / "foreign.onnx")
    (tmp_path / "text.onnx").write_text("not a model")
    for name, message in (
        ("absent.onnx", "There is no file"),
        ("text.onnx", "onnxruntime cannot open"),
        ("foreign.onnx", "names no labels: frami export did not write it"),
    ):
        with pytest.raises(FramiError, match=message):
            predict(tmp_path / name, torch.randn(RATE), RATE)


ESCAPE = "\x1b]0;name\x07("  # gives a terminal another title


@pytest.mark.parametrize(
    ("operator", "domain", "pattern"),
    [("Tokenizer", "com.microsoft", "tokenexp"), ("RegexFullMatch", "", "pattern")],
)
def test_a_pattern_in_a_file_cannot_control_the_terminal(
    operator: str, domain: str, pattern: str, path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = onnx.load(path)
    attributes: dict[str, Any] = {pattern: ESCAPE}
    if domain:
        attributes |= {"mark": 0, "mincharnum": 1, "pad_value": ""}
        file.opset_import.append(onnx.helper.make_opsetid(domain, 1))
    file.opset_import[0].version = 20
    node = onnx.helper.make_node(operator, ["text"], ["words"], domain=domain, **attributes)
    file.graph.initializer.add(name="text", data_type=8, dims=[1], string_data=[b"a"])
    file.graph.node.append(node)
    file.graph.output.append(onnx.helper.make_tensor_value_info("words", 8 if domain else 9, None))
    onnx.save(file, path)
    with pytest.raises(OperationError, match=f"has the operator {operator} for texts"):
        predict(path, torch.rand(RATE) - 0.5)
    assert "\x1b" not in "".join(capfd.readouterr())


def test_a_shape_beyond_all_memory_brings_no_log_line(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = onnx.load(path)
    file.graph.initializer.add(name="huge", data_type=1, dims=[2**31, 2**31], raw_data=bytes(8))
    file.graph.node.append(onnx.helper.make_node("Identity", ["huge"], ["out"]))
    file.graph.output.append(onnx.helper.make_tensor_value_info("out", 1, None))
    onnx.save(file, path)
    with pytest.raises(OperationError, match="onnxruntime cannot open"):
        predict(path, torch.rand(RATE) - 0.5)
    assert capfd.readouterr().err == ""


def test_a_bundle_beside_an_export_answers_itself(bundle: Path, path: Path) -> None:
    (bundle / "front_end.json").write_text("{}")
    shutil.copy(path, bundle / "model.onnx")
    assert find_model_file(bundle) is None
    assert find_model_file("digits") is None


def answering(path: Path, values: NDArray[Any]) -> None:
    """Write an ONNX file that always gives these values; its other parts are those of a file."""
    file = onnx.load(path)
    del file.graph.node[:], file.graph.initializer[:], file.graph.output[:]
    file.graph.initializer.append(onnx.numpy_helper.from_array(values, "values"))
    file.graph.node.append(onnx.helper.make_node("Identity", ["values"], ["logits"]))
    kind = onnx.helper.np_dtype_to_tensor_dtype(values.dtype)
    file.graph.output.append(onnx.helper.make_tensor_value_info("logits", kind, None))
    onnx.save(file, path)


@pytest.mark.parametrize(
    "values",
    [
        np.full((1, len(LABELS)), np.nan, np.float32),
        np.zeros((1, len(LABELS) + 1), np.float32),
        np.zeros(len(LABELS), np.float32),
        np.array([["a"] * len(LABELS)], object),
    ],
)
def test_outputs_that_are_no_logits_are_refused(values: NDArray[Any], path: Path) -> None:
    answering(path, values)
    with pytest.raises(OperationError, match="place of finite logits|outputs of an export"):
        predict(path, torch.rand(RATE) - 0.5)
