"""Bundles: a saved model is loaded unchanged, and a broken bundle is refused by name."""

from __future__ import annotations

import json
import pickle
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from click.testing import CliRunner

from frami import cli
from frami.audio.frontend import FrontEnd
from frami.core.errors import OperationError, UsageError
from frami.datasets import tones
from frami.models.architecture import Architecture
from frami.models.model import Model, load
from frami.models.pooling import ATTENTION, POOLINGS
from tests.conftest import LABELS, full_disk, make_teacher
from tests.models.helpers import copy_weights, equal_weights

WEIGHT = "head.classifier.weight"


def describe(bundle: Path, **changes: Any) -> None:
    """Change entries of a bundle's model.json."""
    path = bundle / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def put_tensors(bundle: Path, changes: dict[str, torch.Tensor | None]) -> None:
    """Replace tensors of a bundle; None removes one."""
    path = bundle / "weights.safetensors"
    tensors = safetensors.torch.load_file(path) | changes
    safetensors.torch.save_file({name: t for name, t in tensors.items() if t is not None}, path)


@pytest.mark.parametrize("network", ["resnet", "tdnn", "dscnn", "small"])
def test_load_saved_model_is_identical(network: str, front_end: FrontEnd, tmp_path: Path) -> None:
    model = make_teacher(front_end, network, width=8)
    loaded = load(model.save(tmp_path / "bundle", made="here"))
    assert equal_weights(copy_weights(model), copy_weights(loaded))
    assert (loaded.architecture, loaded.front_end, loaded.labels) == (
        model.architecture,
        model.front_end,
        model.labels,
    )
    assert (loaded.task, loaded.frame_range, loaded.provenance) == (
        model.task,
        model.frame_range,
        {"made": "here"},
    )
    assert loaded.fingerprint == model.fingerprint
    mel = torch.randn(3, front_end.n_mels, 20)
    assert torch.equal(loaded.network(mel).logits, model.network(mel).logits)


def test_loaded_weights_lie_in_memory_of_their_own(bundle: Path) -> None:
    model = load(bundle)
    tensors = [*model.network.parameters(), *model.network.buffers()]
    assert {tensor.data_ptr() % 64 for tensor in tensors} == {0}  # as torch allocates
    before, path = copy_weights(model), bundle / "weights.safetensors"
    with path.open("r+b") as file:  # as `cp` writes over a file
        file.seek(path.stat().st_size // 2)
        file.write(bytes(path.stat().st_size // 2))
        file.truncate(1000)
    assert equal_weights(before, copy_weights(model))


def test_load_saved_projection_is_identical(front_end: FrontEnd, tmp_path: Path) -> None:
    model = Model.build(Architecture("small", {"width": 4}, projection=6), front_end, LABELS)
    assert equal_weights(copy_weights(model), copy_weights(load(model.save(tmp_path / "bundle"))))


@pytest.mark.parametrize("pooling", [ATTENTION, *POOLINGS])
def test_load_saved_detector_of_any_pooling_is_identical(
    pooling: str, front_end: FrontEnd, tmp_path: Path
) -> None:
    model = Model.build(
        Architecture("crnn", {"width": 2, "depth": 2}, pooling=pooling),
        front_end,
        LABELS,
        "sound-events",
    )
    model.network.eval().requires_grad_(False)  # recurrent layers differ in training mode
    loaded = load(model.save(tmp_path / "bundle"))
    assert loaded.architecture == model.architecture and loaded.fingerprint == model.fingerprint
    mel = torch.randn(2, front_end.n_mels, 20)
    assert torch.equal(loaded.network(mel).logits, model.network(mel).logits)


TENSORS: dict[str, dict[str, torch.Tensor | None]] = {
    f"lacks tensor: {WEIGHT}": {WEIGHT: None},
    "has an extra tensor: more": {"more": torch.zeros(1)},
    rf"has {WEIGHT} of \(3, 9\) .* needs \(3, 8\)": {WEIGHT: torch.zeros(3, 9)},
    rf"has {WEIGHT} of .* torch.float64": {WEIGHT: torch.zeros(3, 8, dtype=torch.float64)},
    f"values in {WEIGHT} that are not numbers": {WEIGHT: torch.full((3, 8), torch.nan)},
}


@pytest.mark.parametrize("message", TENSORS)
def test_load_wrong_tensors_are_refused(message: str, bundle: Path) -> None:
    put_tensors(bundle, TENSORS[message])
    with pytest.raises(OperationError, match=message):
        load(bundle)


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_load_truncated_weights_are_refused(kept: int, bundle: Path) -> None:
    path = bundle / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(OperationError, match="is truncated or not a safetensors file"):
        load(bundle)


def test_load_weights_that_begin_like_a_pickle_are_read(bundle: Path) -> None:
    # A safetensors file begins with the length of its header: here 0x..80, the start of a pickle.
    path = bundle / "weights.safetensors"
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    longer = size + (0x80 - size) % 256
    path.write_bytes(
        longer.to_bytes(8, "little")
        + content[8 : 8 + size]
        + b" " * (longer - size)
        + content[8 + size :]
    )
    assert path.read_bytes()[:1] == b"\x80"
    load(bundle)


def test_load_weights_of_another_model_are_refused(bundle: Path) -> None:
    tensors = safetensors.torch.load_file(bundle / "weights.safetensors")
    tensors["head.classifier.bias"][0] += 1
    safetensors.torch.save_file(tensors, bundle / "weights.safetensors")
    with pytest.raises(OperationError, match="do not belong together"):
        load(bundle)


def test_load_missing_weights_are_refused(bundle: Path) -> None:
    (bundle / "weights.safetensors").unlink()
    with pytest.raises(OperationError, match=r"weights\.safetensors is missing"):
        load(bundle)


class Bomb:
    """Its pickle creates a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


@pytest.mark.parametrize("disguise", ["protocol 2", "protocol 0", "zip"])
def test_load_pickle_in_disguise_is_refused_and_not_run(
    disguise: str, bundle: Path, tmp_path: Path
) -> None:
    bomb, path = Bomb(tmp_path / "ran"), bundle / "weights.safetensors"
    if disguise == "zip":
        torch.save({"weight": bomb}, path)
    else:
        path.write_bytes(pickle.dumps(bomb, protocol=int(disguise[-1])))
    message = (
        "not a safetensors file"
        if disguise == "protocol 0"
        else "is a pickle, which could run code"
    )
    with pytest.raises(OperationError, match=message):
        load(bundle)
    assert not bomb.path.exists()


DESCRIPTIONS: dict[str, dict[str, Any]] = {
    "has the format 'frami bundle 9'": {"format": "frami bundle 9"},
    "Did you mean 'resnet'": {"network": "resnt"},
    "has 5 as its network": {"network": 5},
    "does not take these arguments": {"arguments": {"breadth": 4}},
    "'4'} as its arguments": {"arguments": {"width": "4"}},
    "cannot have a width of -4": {"arguments": {"width": -4}},
    "000... as its arguments": {"arguments": {"width": 10**400}},
    "cannot have a width of 1000": {"arguments": {"width": 10**18}},
    "nan} as its arguments": {"arguments": {"width": float("nan")}},
    "cannot have a depth of 1000000000": {"arguments": {"depth": 10**9}},
    "cannot have a projection of 1000000000": {"projection": 10**9},
    "There is no pooling 'most'": {"pooling": "most"},
    "The pooling 'max' is for the task sound-events": {"pooling": "max"},
    "names no labels": {"labels": []},
    "as its labels": {"labels": "abc"},
    "as its frame_range": {"frame_range": [24, 12]},
    "There is no setting 'hop'": {"front_end": {"hop": 1}},
    "hop_length is 'x'": {"front_end": {"hop_length": "x"}},
    "do not make a front end": {"front_end": {"hop_length": 0}},
}


@pytest.mark.parametrize("message", DESCRIPTIONS)
def test_load_wrong_description_is_refused(message: str, bundle: Path) -> None:
    describe(bundle, **DESCRIPTIONS[message])
    with pytest.raises(OperationError, match=message):
        load(bundle)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": "frami bundle 1"}', "\0"])
def test_load_truncated_description_is_refused(content: str, bundle: Path) -> None:
    (bundle / "model.json").write_text(content)
    with pytest.raises(OperationError, match=r"model\.json (is not readable JSON|lacks)"):
        load(bundle)


@pytest.mark.parametrize("width", [9_999, 10**6, 10**18])
def test_load_absurd_width_is_refused_without_allocating(width: int, bundle: Path) -> None:
    describe(bundle, arguments={"width": width, "depth": 1, "embedding": 8})
    start = time.process_time()
    with pytest.raises(
        OperationError, match="its network needs" if width == 9_999 else "cannot have a width"
    ):
        load(bundle)
    assert time.process_time() - start < 1


@pytest.mark.parametrize("room", [0, 1000, 8000])
def test_save_on_a_full_disk_keeps_the_old_bundle(
    room: int, bundle: Path, front_end: FrontEnd
) -> None:
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    with (
        full_disk(room),
        pytest.raises(OperationError, match="Cannot write.*File too large. Free space"),
    ):
        make_teacher(front_end, width=6).save(bundle)
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before


@pytest.fixture
def own_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the name of a user's network module; importing it creates the file ``ran``."""
    package = tmp_path / "path" / "lab"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    code = f"open({str(tmp_path / 'ran')!r}, 'w').close()\nfrom frami.students.small import build\n"
    (package / "net.py").write_text(code)
    monkeypatch.syspath_prepend(package.parent)
    yield "lab.net"
    for name in ("lab", "lab.net"):
        sys.modules.pop(name, None)


def test_load_runs_code_of_a_user_module_only_if_trusted(
    own_network: str, front_end: FrontEnd, tmp_path: Path
) -> None:
    model = Model.build(Architecture("small", {"width": 4}), front_end, LABELS)
    bundle = replace(model, architecture=Architecture(own_network, {"width": 4})).save(
        tmp_path / "bundle"
    )
    with pytest.raises(UsageError, match=r"needs the module lab\.net.*frami --import lab\.net"):
        load(bundle)
    assert not (tmp_path / "ran").exists()
    assert equal_weights(copy_weights(load(bundle, trust_code=True)), copy_weights(model))
    assert (tmp_path / "ran").exists()


@pytest.mark.slow
def test_user_network_is_trained_and_loaded(
    own_network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tones, "TRAIN_PER_CLASS", 2)
    words = [
        "train",
        "--dataset",
        "tones",
        "--test-fold",
        "0",
        "--network",
        own_network,
        "--out",
        tmp_path / "teacher",
    ]
    words += ["--set", "steps=1", "--set", "batch_size=4", "--width", "4"]
    trained = CliRunner().invoke(cli.frami, [str(word) for word in words])
    assert trained.exit_code == 0 and "Next: frami --import lab.net evaluate" in trained.output
    for name in ("lab", "lab.net"):  # as in a new process
        sys.modules.pop(name)
    inspect = ["inspect", str(tmp_path / "teacher")]
    assert isinstance(CliRunner().invoke(cli.frami, inspect).exception, UsageError)
    result = CliRunner().invoke(cli.frami, ["--import", own_network, *inspect])
    assert result.exit_code == 0 and "lab.net" in result.output


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_file_in_place_of_a_bundle_gets_the_way_out(tmp_path: Path, front_end: FrontEnd) -> None:
    module = torch.nn.Linear(2, 2)
    torch.save(module.state_dict(), tmp_path / "weights.pt")
    torch.jit.save(torch.jit.script(module), tmp_path / "script.pt")
    (tmp_path / "graph.onnx").write_bytes(b"\x08\x0a")
    for name, holds_graph in (("weights.pt", False), ("script.pt", True), ("graph.onnx", True)):
        with pytest.raises(UsageError, match=rf"{name} is a file, not a bundle\.") as caught:
            load(tmp_path / name)
        assert "with frami adopt, from its Python code and its state dict." in str(caught.value)
        assert ("The graph in this file cannot be adopted." in str(caught.value)) == holds_graph
    folder = make_teacher(front_end).save(tmp_path / "T")
    with pytest.raises(UsageError, match=rf"is a file, not a bundle\. Give its folder, {folder}\."):
        load(folder / "weights.safetensors")
