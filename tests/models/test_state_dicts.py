"""Weights of other code: files of all kinds, and names that wrappers changed."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from frami.core.errors import FramiError, OperationError, UsageError
from frami.models.state_dicts import load_weights, read_weights


def make_module() -> nn.Module:
    return nn.Sequential(nn.Conv1d(2, 3, 1), nn.BatchNorm1d(3), nn.Linear(4, 5))


@pytest.fixture
def weights() -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in make_module().state_dict().items()}


def load(tensors: dict[str, Tensor]) -> tuple[nn.Module, list[str]]:
    torch.manual_seed(9)
    module = make_module()
    return module, load_weights(module, tensors, "best.pt")


def test_safetensors_and_torch_files_are_read(weights: dict[str, Tensor], tmp_path: Path) -> None:
    save_file(weights, tmp_path / "a.safetensors")
    torch.save(weights, tmp_path / "a.pt")
    for name in ("a.safetensors", "a.pt"):
        tensors, notes = read_weights(tmp_path / name)
        assert notes == [] and tensors.keys() == weights.keys()
        assert torch.equal(tensors["0.weight"], weights["0.weight"])


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        (["state_dict"], "'state_dict'"),
        (["model_state_dict"], "'model_state_dict'"),
        (["ema"], "'ema'"),
        (["checkpoint", "x"], None),
        (["model", "state_dict"], "'model.state_dict'"),
    ],
)
def test_weights_within_a_checkpoint(
    keys: list[str], where: str | None, weights: dict[str, Tensor], tmp_path: Path
) -> None:
    content: Any = weights
    for key in reversed(keys):
        content = {key: content, "epoch": 3, "optimizer": {"state": {}, "lr": 0.1}}
    torch.save(content, tmp_path / "best.pt")
    if where is None:
        with pytest.raises(UsageError, match=r"holds no state dict \(checkpoint, epoch, optimizer"):
            read_weights(tmp_path / "best.pt")
        return
    tensors, notes = read_weights(tmp_path / "best.pt")
    assert tensors.keys() == weights.keys() and where in notes[0]


@pytest.mark.parametrize("name", ["ema", "model_ema", "ema_state_dict", "swa.module"])
def test_averaged_weights_are_said_and_chosen(
    name: str, weights: dict[str, Tensor], tmp_path: Path
) -> None:
    averaged: Any = {n: t + 1 for n, t in weights.items()}
    first, *inner = name.split(".")
    nested = {first: {inner[0]: averaged, "decay": 0.999}} if inner else {first: averaged}
    optimizer = {"state": {0: {"exp_avg": torch.zeros(1)}}, "best": {"score": torch.ones(1)}}
    torch.save(
        {**nested, "model": weights, "optimizer": optimizer, "callbacks": optimizer},
        tmp_path / "best.pt",
    )
    tensors, notes = read_weights(tmp_path / "best.pt")
    assert torch.equal(tensors["2.weight"], weights["2.weight"])
    assert notes == [
        "The weights are under 'model' of best.pt.",
        f"best.pt also holds averaged weights ({name}), which are not used: choose with "
        f"`weights_key`.",
    ]
    tensors, notes = read_weights(tmp_path / "best.pt", name)
    assert torch.equal(tensors["2.weight"], weights["2.weight"] + 1) and notes == []
    with pytest.raises(UsageError, match=f"no weights under 'average'. It holds {name}, model"):
        read_weights(tmp_path / "best.pt", "average")


def test_parts_of_the_network_are_not_called_averaged_weights(tmp_path: Path) -> None:
    tensors = {"semantic.weight": torch.zeros(2), "schema_ema2.x": torch.zeros(1)}
    torch.save(tensors | {"head.weight": torch.ones(2)}, tmp_path / "a.pt")
    assert read_weights(tmp_path / "a.pt")[1] == []


def test_averaged_weights_among_the_tensors(weights: dict[str, Tensor], tmp_path: Path) -> None:
    tensors = {f"model.{n}": t for n, t in weights.items()}
    save_file(
        tensors | {f"ema_model.{n}": t + 1 for n, t in weights.items()}, tmp_path / "a.safetensors"
    )
    found, notes = read_weights(tmp_path / "a.safetensors")
    assert "also holds averaged weights (ema_model)" in notes[0]
    assert torch.equal(load(found)[0].get_parameter("0.bias"), weights["0.bias"])
    found, notes = read_weights(tmp_path / "a.safetensors", "ema_model")
    assert torch.equal(load(found)[0].get_parameter("0.bias"), weights["0.bias"] + 1)


@pytest.mark.parametrize(
    ("prefix", "said"),
    [
        ("module.", ["'module.'"]),
        ("_orig_mod.", ["'_orig_mod.'"]),
        ("module._orig_mod.", ["'module.'", "'_orig_mod.'"]),
        ("model.net.", ["'model.'", "'net.'"]),
    ],
)
def test_prefixes_are_taken_off_and_said(
    prefix: str, said: list[str], weights: dict[str, Tensor]
) -> None:
    module, notes = load({f"{prefix}{name}": tensor for name, tensor in weights.items()})
    assert torch.equal(module.get_parameter("2.weight"), weights["2.weight"])
    assert len(notes) == len(said)
    assert all(part in note and "taken off" in note for part, note in zip(said, notes, strict=True))


def test_tensors_beside_the_model_are_left_out_and_said(weights: dict[str, Tensor]) -> None:
    tensors = {f"model.{name}": tensor for name, tensor in weights.items()}
    module, notes = load(tensors | {"loss.weight": torch.ones(5)})
    assert torch.equal(module.get_parameter("0.bias"), weights["0.bias"])
    assert "left out: 1 tensor without it (loss.weight)" in notes[0]


def test_wrappers_of_a_part_of_the_module(weights: dict[str, Tensor]) -> None:
    tensors = {name.replace(".", ".module.", 1): tensor for name, tensor in weights.items()}
    module, notes = load(tensors)
    assert torch.equal(module.get_parameter("0.weight"), weights["0.weight"])
    assert "inside of names" in notes[0]


def test_the_entry_points_own_wrapper(weights: dict[str, Tensor]) -> None:
    class Wrapper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = make_module()

    module = Wrapper()
    notes = load_weights(module, weights, "best.pt")
    assert torch.equal(module.get_parameter("inner.0.weight"), weights["0.weight"])
    assert notes == ["The prefix 'inner.' was added."]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32_and_are_said(
    dtype: torch.dtype, weights: dict[str, Tensor]
) -> None:
    other = {n: t.to(dtype) if t.is_floating_point() else t for n, t in weights.items()}
    module, notes = load(other)
    assert module.get_parameter("0.weight").dtype == torch.float32
    assert torch.equal(module.get_parameter("0.weight"), other["0.weight"].float())
    assert f"are {str(dtype).removeprefix('torch.')}" in notes[0]


def test_weights_that_do_not_fit_name_the_keys(weights: dict[str, Tensor]) -> None:
    with pytest.raises(
        UsageError, match=r"best.pt lacks weights that the module has: 2.bias\. Build"
    ):
        load({n: t for n, t in weights.items() if n != "2.bias"})
    with pytest.raises(
        UsageError, match=r"best.pt has weights that the module lacks: 3.weight\. Build"
    ):
        load(weights | {"3.weight": torch.zeros(1)})
    with pytest.raises(UsageError, match=r"2.weight has \(7, 4\) there and \(5, 4\) here"):
        load(weights | {"2.weight": torch.zeros(7, 4)})
    with pytest.raises(UsageError, match=r"values in 2.weight that are not numbers"):
        load(weights | {"2.weight": torch.full((5, 4), torch.nan)})


def test_a_missing_count_of_batches_is_no_problem(weights: dict[str, Tensor]) -> None:
    kept = {n: t for n, t in weights.items() if not n.endswith("num_batches_tracked")}
    assert len(kept) < len(weights)
    loaded = load(kept)[0].state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in kept.items())


def test_both_forms_of_weight_norm() -> None:
    from torch.nn.utils.parametrizations import weight_norm

    def make() -> nn.Module:
        return nn.Sequential(weight_norm(nn.Linear(3, 4)))

    old = nn.Sequential(nn.Linear(3, 4)).state_dict()
    old["0.weight_g"], old["0.weight_v"] = torch.rand(4, 1) + 1, old.pop("0.weight")
    module = make()
    load_weights(module, old, "best.pt")
    expected = old["0.weight_v"] * old["0.weight_g"] / old["0.weight_v"].norm(dim=1, keepdim=True)
    torch.testing.assert_close(module[0].weight, expected)  # type: ignore[index]
    again = make()
    load_weights(again, module.state_dict(), "best.pt")
    assert torch.equal(again[0].weight, module[0].weight)  # type: ignore[index]


class Whole(nn.Linear):
    """A module that is pickled as a whole."""


def test_files_of_other_kinds_are_refused_in_one_sentence(tmp_path: Path) -> None:
    torch.save(Whole(2, 3), tmp_path / "whole.pt")
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        archive.writestr("script/code/__torch__.py", "")
    with zipfile.ZipFile(tmp_path / "a.pt2", "w") as archive:
        archive.writestr("a/models/model.json", "{}")
    (tmp_path / "a.onnx").write_bytes(b"\x08\x0a\x12\x07pytorch")
    (tmp_path / "a.tflite").write_bytes(b"\x1c\0\0\0TFL3" + b"\0" * 20)
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    (tmp_path / "text.pt").write_text("hello there")
    (tmp_path / "sound.wav").write_bytes(b"RIFF$\x08\x00\x00WAVEfmt \x10\0\0\0" + b"\1\0" * 99)
    (tmp_path / "empty.pt").touch()
    torch.save({"a": torch.zeros(1000)}, tmp_path / "cut.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "cut.pt").read_bytes()[:-500])
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    torch.save([1, 2], tmp_path / "list.pt")
    messages = {
        "whole.pt": "whole pickled model.*save its state dict",
        "script.pt": "a TorchScript file.*Name the Python code",
        "a.pt2": r"an exported program \(.pt2\)",
        "a.onnx": "an ONNX file: its batch norms are folded away",
        "a.tflite": "a TFLite model",
        "a.h5": "an HDF5 file",
        "text.pt": "not a file of weights|not a torch file",
        "sound.wav": "not a file of weights|not a torch file",
        "empty.pt": "an empty file",
        "cut.pt": "cut off",
        "cut.safetensors": "cut off",
        "list.pt": "holds no state dict",
        "missing.pt": "There is no file",
    }
    for name, message in messages.items():
        with pytest.raises(FramiError, match=message) as caught:
            read_weights(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert issubclass(OperationError, FramiError)
