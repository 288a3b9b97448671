"""INT8: where it is used, what stays float, and what it costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from frami.core.errors import OperationError
from frami.data.clips import Spectrograms
from frami.export import int8
from frami.export.agreement import predict, predict_torch
from frami.export.int8 import METHODS, Quantization, Quantizer
from frami.export.onnx_file import OnnxNetwork, write_onnx
from frami.models.model import Model
from tests.conftest import make_front_end, make_teacher
from tests.export.test_onnx_file import make_model


def random_clips(n_clips: int, n_frames: int = 20, bands: int = 24) -> Spectrograms:
    mels = list(torch.randn(n_clips, bands, n_frames).half())
    return Spectrograms(mels, np.full(n_clips, n_frames), np.zeros(n_clips, dtype=np.int64))


def make_quantizer(model: Model, folder: Path, n_clips: int = 64) -> Quantizer:
    write_onnx(model, folder / "model.onnx")
    clips = random_clips(n_clips)
    batches = [torch.stack(clips.mels[:16]).float().numpy()]
    return Quantizer(model, folder / "model.onnx", batches, clips, predict_torch(model, clips))


def op_types(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "task", "always_float"),
    [
        ("small", "single-label", ("statistics pooling",)),
        ("secrnn", "multi-label", ("statistics pooling", "recurrent layers")),
        ("dscnn", "sound-events", ("pooling of probabilities",)),
        ("crnn", "sound-events", ("recurrent layers", "pooling of probabilities")),
    ],
)
def test_int8_takes_any_batch_and_length_and_is_near_the_float_file(
    network: str, task: str, always_float: tuple[str, ...], tmp_path: Path
) -> None:
    quantizer = make_quantizer(make_model(network, task), tmp_path)
    found = quantizer.quantize(tmp_path / "int8.onnx", ["MinMax"])
    assert found.always_float == always_float
    assert "QuantizeLinear" in op_types(tmp_path / "int8.onnx")
    float_file, int8_file = (
        OnnxNetwork.open(tmp_path / name) for name in ("model.onnx", "int8.onnx")
    )
    for batch, n_frames in ((1, 9), (5, 33)):
        features = torch.randn(batch, make_front_end().n_mels, n_frames)
        outputs = zip(float_file(features), int8_file(features), strict=True)
        for wanted, output in outputs:
            assert wanted.shape == output.shape
            assert 0 < np.abs(wanted - output).max() < 0.25 * np.abs(wanted).max()


@pytest.mark.slow
def test_int8_weights_have_one_scale_for_each_channel_and_logits_are_not_rounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "MAX_FLOAT_LAYERS", 0)
    quantizer = make_quantizer(make_teacher(make_front_end(), "small"), tmp_path)
    quantizer.quantize(tmp_path / "int8.onnx", ["MinMax"])
    graph = onnx.load(tmp_path / "int8.onnx").graph
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    kernels = {name: one for name, one in weights.items() if one.ndim == 4}
    assert kernels
    for name, kernel in kernels.items():
        assert kernel.dtype == np.int8
        scale = weights[name.replace("_quantized", "_scale")]
        assert scale.shape == (len(kernel),)
    logits = np.concatenate(
        [one.numpy() for one in predict(OnnxNetwork.open(tmp_path / "int8.onnx"), random_clips(32))]
    )
    assert len(set(logits.tolist())) == logits.size


@pytest.mark.slow
def test_layer_that_int8_harms_stays_float(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_teacher(make_front_end(), "small")
    # A channel with large values that the next layer ignores: 8 bits cannot hold the others.
    norm, conv = (model.network.get_submodule(f"encoder.{index}") for index in (1, 3))
    assert isinstance(norm, nn.BatchNorm2d)
    assert isinstance(conv, nn.Conv2d)
    norm.bias[0] = 3000.0
    conv.weight[:, 0] = 0.0
    quantizer = make_quantizer(model, tmp_path, 256)
    drops = []
    for most in (0, 1):
        monkeypatch.setattr(int8, "MAX_FLOAT_LAYERS", most)
        found = quantizer.quantize(tmp_path / "int8.onnx", ["MinMax"])
        drops.append(found.drop)
    assert found.kept_float == ("encoder.3",)
    assert drops[0] > 0.1
    assert drops[1] < drops[0] / 3


@pytest.mark.slow
def test_best_calibration_method_is_kept(tmp_path: Path) -> None:
    quantizer = make_quantizer(make_teacher(make_front_end(), "small"), tmp_path)
    each = {method: quantizer.quantize(tmp_path / f"{method}.onnx", [method]) for method in METHODS}
    best = quantizer.quantize(tmp_path / "best.onnx")
    assert best == min(each.values(), key=lambda one: one.rank)
    assert (tmp_path / "best.onnx").read_bytes() == (tmp_path / f"{best.method}.onnx").read_bytes()


def test_a_calibration_method_that_cannot_be_applied_is_passed_over() -> None:
    def trial(method: str) -> Quantization:
        if method == "MinMax":
            return Quantization(method, (), (), drop=0.0, error=1.0)
        # What a result that hardly changes, such as that of a dead channel, makes of a histogram.
        with pytest.raises(ValueError, match="Too many bins") as problem:
            np.histogram(np.array([0.5, np.nextafter(0.5, 1)]), bins=2048)
        raise OperationError(f"cannot quantize with {method}") from problem.value

    assert int8._best_method(trial, METHODS).method == "MinMax"  # type: ignore[arg-type]
    with pytest.raises(OperationError, match="with Percentile"):
        int8._best_method(trial, METHODS[1:])  # type: ignore[arg-type]


def test_a_full_disk_is_no_reason_to_pass_over_a_calibration_method() -> None:
    def trial(method: str) -> Quantization:
        raise OperationError("cannot write") from OSError("full")

    with pytest.raises(OperationError, match="cannot write"):
        int8._best_method(trial, METHODS)  # type: ignore[arg-type]


def test_rank_puts_agreement_before_the_error_of_logits() -> None:
    good = Quantization("MinMax", (), (), drop=0.0, error=2.0)
    better_than_float = Quantization("MinMax", (), (), drop=-0.1, error=3.0)
    bad = Quantization("MinMax", (), (), drop=0.1, error=1.0)
    assert sorted([bad, better_than_float, good], key=lambda one: one.rank) == [
        good,
        better_than_float,
        bad,
    ]
