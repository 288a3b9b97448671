"""Bundles: what is saved comes back to the bit, what is broken is refused by name, and nothing is run."""

from __future__ import annotations

import json
import pickle
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from click.testing import CliRunner
from torch import nn

from frami import cli
from frami.audio.frontend import FrontEnd
from frami.core import files, registry, seeds
from frami.core.errors import OperationError, UsageError
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.data.store import Store
from frami.datasets import tones
from frami.evaluate.scores import score
from frami.inversion.synthesize import synthesize
from frami.models.architecture import Architecture
from frami.models.model import Model, load
from frami.models.network import frozen
from frami.models.pooling import ATTENTION, POOLINGS
from frami.reporting.inspect import inspect
from frami.training.distill import distill
from tests.conftest import FAST, LABELS, full_disk, make_teacher

WEIGHT = "head.classifier.weight"


def weights_of(model: Model) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.network.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def describe(bundle: Path, **changes: Any) -> None:
    """Change what a bundle's model.json says."""
    path = bundle / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def put_tensors(bundle: Path, changes: dict[str, torch.Tensor | None]) -> None:
    """Replace tensors of a bundle; None takes one away."""
    path = bundle / "weights.safetensors"
    tensors = safetensors.torch.load_file(path) | changes
    safetensors.torch.save_file({name: t for name, t in tensors.items() if t is not None}, path)


@pytest.mark.parametrize("network", ["resnet", "tdnn", "dscnn", "small"])
def test_a_bundle_comes_back_to_the_bit(network: str, front_end: FrontEnd, tmp_path: Path) -> None:
    model = make_teacher(front_end, network, width=8)
    back = load(model.save(tmp_path / "bundle", made="here"))
    assert same(weights_of(model), weights_of(back))
    assert (back.architecture, back.front_end, back.labels) == (
        model.architecture,
        model.front_end,
        model.labels,
    )
    assert (back.task, back.frame_range, back.provenance) == (
        model.task,
        model.frame_range,
        {"made": "here"},
    )
    assert back.fingerprint == model.fingerprint
    mel = torch.randn(3, front_end.n_mels, 20)
    assert torch.equal(back.network(mel).logits, model.network(mel).logits)


def test_a_projected_student_comes_back_to_the_bit(front_end: FrontEnd, tmp_path: Path) -> None:
    model = Model.build(Architecture("small", {"width": 4}, projection=6), front_end, LABELS)
    assert same(weights_of(model), weights_of(load(model.save(tmp_path / "bundle"))))


@pytest.mark.parametrize("pooling", [ATTENTION, *POOLINGS])
def test_a_detector_of_any_pooling_comes_back_to_the_bit(
    pooling: str, front_end: FrontEnd, tmp_path: Path
) -> None:
    model = Model.build(
        Architecture("crnn", {"width": 2, "depth": 2}, pooling=pooling),
        front_end,
        LABELS,
        "sound-events",
    )
    model.network.eval().requires_grad_(False)  # a recurrent layer that learns computes otherwise
    back = load(model.save(tmp_path / "bundle"))
    assert back.architecture == model.architecture and back.fingerprint == model.fingerprint
    mel = torch.randn(2, front_end.n_mels, 20)
    assert torch.equal(back.network(mel).logits, model.network(mel).logits)


def test_a_loaded_model_is_frozen_and_in_eval_mode(bundle: Path) -> None:
    network = load(bundle).network
    assert not any(layer.training for layer in network.modules())
    assert not any(p.requires_grad for p in network.parameters())


def test_the_fingerprint_tells_weights_front_end_and_labels(
    teacher: Model, front_end: FrontEnd
) -> None:
    heavier = make_teacher(front_end)
    heavier.network.head.classifier.bias[0] += 1e-6
    others = [
        heavier,
        replace(teacher, front_end=replace(front_end, mean=-2.0)),
        replace(teacher, labels=("rise", "fall", "other")),
    ]
    assert make_teacher(front_end).fingerprint == teacher.fingerprint
    assert len({teacher.fingerprint, *(other.fingerprint for other in others)}) == 4


def test_a_teacher_stays_as_it_was_through_synthesis_and_distillation(
    bundle: Path, tmp_path: Path
) -> None:
    teacher = load(bundle)
    before, content = weights_of(teacher), (bundle / "weights.safetensors").read_bytes()
    with synthesize(
        teacher, tmp_path / "samples.h5", samples=8, batch_size=8, options=FAST
    ) as store:
        for recipe in ("frami", "frami-head"):
            distill(
                teacher,
                out=tmp_path / recipe,
                samples=store,
                recipe=recipe,
                options={"steps": 2, "batch_size": 4},
            )
    assert (
        same(weights_of(teacher), before)
        and (bundle / "weights.safetensors").read_bytes() == content
    )
    assert not any(
        layer.training or layer._forward_pre_hooks for layer in teacher.network.modules()
    )
    assert not any(p.requires_grad or p.grad is not None for p in teacher.network.parameters())


def test_a_network_is_put_back_where_and_as_it_was() -> None:
    network = Architecture("resnet", {"width": 16}).build(64, 4)
    with Runtime("cpu", "bfloat16", channels_last=True).placed(network):
        kernels = [
            p for p in network.parameters() if p.dim() == 4 and p.shape[1] > 1 and p.shape[2] > 1
        ]
        assert kernels and all(p.is_contiguous(memory_format=torch.channels_last) for p in kernels)
    assert all(p.is_contiguous() for p in network.parameters())
    network.encoder.train()
    network.head.eval()
    with frozen(network):
        assert not any(layer.training for layer in network.modules())
    assert network.encoder.training and not network.head.training


@pytest.mark.parametrize("name", [*registry.names("teachers"), *registry.names("students")])
def test_gradients_of_a_narrow_network_are_the_same_in_bfloat16(name: str) -> None:
    # In clips of this length, what oneDNN writes past its workspace is not overlooked.
    mel, target = (
        torch.randn(4, 64, 627, generator=seeds.make_rng(0, Stream.CROPS)),
        torch.arange(4),
    )

    def gradient(runtime: Runtime) -> torch.Tensor:
        with seeds.seeded(0, Stream.LOADING):
            network = Architecture(name, {"width": 8}).build(64, 4).eval()
        with runtime.placed(network), runtime.autocast():
            nn.functional.cross_entropy(network(mel).logits, target).backward()
        return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])

    exact, fast = (
        gradient(Runtime("cpu", kind, kind == "bfloat16")) for kind in ("float32", "bfloat16")
    )
    assert nn.functional.cosine_similarity(exact, fast, dim=0) > 0.98


@pytest.mark.parametrize("seed", [-1, None, 0.5])
def test_a_seed_is_an_integer_of_any_kind(seed: Any, teacher: Model, tmp_path: Path) -> None:
    few = {"samples": 4, "batch_size": 4, "method": "noise"}
    synthesize(
        teacher,
        tmp_path / "a.h5",
        **few,
        seed=np.int64(3),
        frame_range=(np.int64(12), np.int64(16)),
    ).close()
    with synthesize(teacher, tmp_path / "a.h5", **few, seed=3, frame_range=(12, 16)) as store:
        assert store.settings["seed"] == 3
    with pytest.raises(UsageError, match="an integer of 0 or more"):
        synthesize(teacher, tmp_path / "b.h5", **few, seed=seed)
    with pytest.raises(UsageError, match="an integer of 0 or more"):
        distill(teacher, samples=tmp_path / "a.h5", out=tmp_path / "student", seed=seed)
    built = distill(
        teacher,
        samples=store,
        out=tmp_path / "student",
        width=np.int64(4),
        seed=np.int64(1),
        options={"steps": 1},
    )
    assert built.architecture.arguments["width"] == 4


@pytest.mark.parametrize(("rate", "kept"), [(0.0, True), (1e-2, False)])
def test_a_reused_head_begins_as_the_teachers_and_learns_on(
    bundle: Path, tmp_path: Path, rate: float, kept: bool
) -> None:
    teacher = load(bundle)
    with synthesize(
        teacher, tmp_path / "samples.h5", samples=8, batch_size=8, options=FAST
    ) as store:
        options = {"steps": 2, "batch_size": 4, "learning_rate": rate}
        student = distill(
            teacher, out=tmp_path / "s", samples=store, recipe="frami-head", options=options
        )
    pairs = zip(student.network.head.parameters(), teacher.network.head.parameters(), strict=True)
    assert all(torch.equal(ours, theirs) == kept for ours, theirs in pairs)


def test_a_name_that_is_not_there_offers_what_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frami.models.model.list_pretrained", lambda: ["digits"])
    with pytest.raises(
        UsageError, match="'digit' is not there; give a bundle's folder, or one of: digits"
    ):
        load("digit")
    with pytest.raises(UsageError, match=r"has no model\.json"):
        load(tmp_path)


def test_a_folder_of_recordings_does_not_hide_what_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load("digits").labels == tuple("0123456789")
    assert load("digits").fingerprint in inspect("digits")


def test_a_network_of_half_precision_has_a_fingerprint(front_end: FrontEnd) -> None:
    exact, half = (make_teacher(front_end) for _ in range(2))
    half.network.bfloat16()
    assert half.fingerprint != exact.fingerprint


def test_a_teacher_that_learned_on_does_not_go_on_with_its_store(
    front_end: FrontEnd, tmp_path: Path
) -> None:
    teacher = make_teacher(front_end)
    few = {"batch_size": 4, "options": FAST}
    synthesize(teacher, tmp_path / "samples.h5", samples=4, **few).close()
    with torch.no_grad():
        teacher.network.head.classifier.weight.add_(1.0)
    with pytest.raises(UsageError, match="made with others|teacher"):
        synthesize(teacher, tmp_path / "samples.h5", samples=8, **few)


TENSORS: dict[str, dict[str, torch.Tensor | None]] = {
    f"lacks tensor: {WEIGHT}": {WEIGHT: None},
    "has an extra tensor: more": {"more": torch.zeros(1)},
    rf"has {WEIGHT} of \(3, 9\) .* needs \(3, 8\)": {WEIGHT: torch.zeros(3, 9)},
    rf"has {WEIGHT} of .* torch.float64": {WEIGHT: torch.zeros(3, 8, dtype=torch.float64)},
    f"values in {WEIGHT} that are not numbers": {WEIGHT: torch.full((3, 8), torch.nan)},
}


@pytest.mark.parametrize("message", TENSORS)
def test_a_bundle_with_wrong_tensors_is_refused(message: str, bundle: Path) -> None:
    put_tensors(bundle, TENSORS[message])
    with pytest.raises(OperationError, match=message):
        load(bundle)


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_truncated_weights_are_refused(kept: int, bundle: Path) -> None:
    path = bundle / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(OperationError, match="is truncated or no safetensors file"):
        load(bundle)


def test_weights_that_begin_like_a_pickle_are_read(bundle: Path) -> None:
    # The first bytes of a safetensors file are the length of its header: here 0x..80, as a pickle begins.
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


def test_weights_that_do_not_belong_to_the_description_are_refused(bundle: Path) -> None:
    tensors = safetensors.torch.load_file(bundle / "weights.safetensors")
    tensors["head.classifier.bias"][0] += 1
    safetensors.torch.save_file(tensors, bundle / "weights.safetensors")
    with pytest.raises(OperationError, match="do not belong together"):
        load(bundle)


def test_missing_weights_are_refused(bundle: Path) -> None:
    (bundle / "weights.safetensors").unlink()
    with pytest.raises(OperationError, match=r"weights\.safetensors is missing"):
        load(bundle)


class Bomb:
    """A pickle of it creates a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


@pytest.mark.parametrize("disguise", ["protocol 2", "protocol 0", "zip"])
def test_a_pickle_in_disguise_is_refused_and_not_run(
    disguise: str, bundle: Path, tmp_path: Path
) -> None:
    bomb, path = Bomb(tmp_path / "ran"), bundle / "weights.safetensors"
    if disguise == "zip":
        torch.save({"weight": bomb}, path)
    else:
        path.write_bytes(pickle.dumps(bomb, protocol=int(disguise[-1])))
    message = (
        "no safetensors file" if disguise == "protocol 0" else "is a pickle, which could run code"
    )
    with pytest.raises(OperationError, match=message):
        load(bundle)
    assert not bomb.path.exists()


DESCRIPTIONS: dict[str, dict[str, Any]] = {
    "has the format 'frami bundle 9'": {"format": "frami bundle 9"},
    "Did you mean 'resnet'": {"network": "resnt"},
    "has 5 as its network": {"network": 5},
    "does not take these arguments": {"arguments": {"breadth": 4}},
    "arguments that are not numbers": {"arguments": {"width": "4"}},
    "cannot have a width of -4": {"arguments": {"width": -4}},
    "cannot have a width of 1000": {"arguments": {"width": 10**400}},
    "cannot have a width of nan": {"arguments": {"width": float("nan")}},
    "cannot have a depth of 1000000000": {"arguments": {"depth": 10**9}},
    "cannot have a projection of 1000000000": {"projection": 10**9},
    "There is no pooling 'most'": {"pooling": "most"},
    "A pooling of max is for the task frames": {"pooling": "max"},
    "names no labels": {"labels": []},
    "as its labels": {"labels": "abc"},
    "as its frame_range": {"frame_range": [24, 12]},
    "There is no setting 'hop'": {"front_end": {"hop": 1}},
    "hop_length is 'x'": {"front_end": {"hop_length": "x"}},
    "No front end is possible": {"front_end": {"hop_length": 0}},
}


@pytest.mark.parametrize("message", DESCRIPTIONS)
def test_a_bundle_with_a_wrong_description_is_refused(message: str, bundle: Path) -> None:
    describe(bundle, **DESCRIPTIONS[message])
    with pytest.raises(OperationError, match=message):
        load(bundle)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": "frami bundle 1"}', "\0"])
def test_a_cut_off_description_is_refused(content: str, bundle: Path) -> None:
    (bundle / "model.json").write_text(content)
    with pytest.raises(OperationError, match=r"model\.json (is not readable JSON|lacks)"):
        load(bundle)


@pytest.mark.parametrize("width", [9_999, 10**6, 10**18])
def test_an_absurd_width_is_refused_without_allocating(width: int, bundle: Path) -> None:
    describe(bundle, arguments={"width": width, "depth": 1, "embedding": 8})
    began = time.process_time()
    with pytest.raises(
        OperationError, match="its network needs" if width == 9_999 else "cannot have a width"
    ):
        load(bundle)
    assert time.process_time() - began < 1


@pytest.fixture
def own_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A user's own network, in a package of their own; importing it leaves a file behind."""
    package = tmp_path / "path" / "lab"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    code = f"open({str(tmp_path / 'ran')!r}, 'w').close()\nfrom frami.students.small import build\n"
    (package / "net.py").write_text(code)
    monkeypatch.syspath_prepend(package.parent)
    yield "lab.net"
    for name in ("lab", "lab.net"):
        sys.modules.pop(name, None)


def test_code_of_a_stranger_runs_only_when_trusted(
    own_network: str, front_end: FrontEnd, tmp_path: Path
) -> None:
    model = Model.build(Architecture("small", {"width": 4}), front_end, LABELS)
    bundle = replace(model, architecture=Architecture(own_network, {"width": 4})).save(
        tmp_path / "bundle"
    )
    with pytest.raises(OperationError, match=r"not frami's, lab\.net; .*frami --import lab\.net"):
        load(bundle)
    assert not (tmp_path / "ran").exists()
    assert same(weights_of(load(bundle, trust_code=True)), weights_of(model))
    assert (tmp_path / "ran").exists()


def test_a_network_of_ones_own_is_trained_and_loaded(
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
    assert isinstance(CliRunner().invoke(cli.frami, inspect).exception, OperationError)
    told = CliRunner().invoke(cli.frami, ["--import", own_network, *inspect])
    assert told.exit_code == 0 and "lab.net" in told.output


def test_a_model_that_was_scored_can_still_be_inverted(
    front_end: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is moved to another device in inference mode takes part in no gradient any more.
    asked, place = [], Runtime.place

    def noted(runtime: Runtime, network: torch.nn.Module) -> torch.nn.Module:
        asked.append(torch.is_inference_mode_enabled())
        return place(runtime, network)

    monkeypatch.setattr(Runtime, "place", noted)
    monkeypatch.setattr(tones, "TEST_PER_CLASS", 1)
    model = Model.build(Architecture("small", {"width": 4}), front_end, tuple(tones.CLASSES))
    score(model, "tones", test_fold="0")
    assert asked and not any(asked)


def test_a_bundle_without_a_record_is_not_written_over(bundle: Path, store: Store) -> None:
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    with pytest.raises(UsageError, match="of no run, which would be lost; choose another --out"):
        distill(bundle, out=bundle, samples=store, any_teacher=True)
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before


@pytest.mark.parametrize("room", [0, 1000, 8000])
def test_a_full_disk_leaves_the_old_bundle_whole(
    room: int, bundle: Path, front_end: FrontEnd
) -> None:
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    with (
        full_disk(room),
        pytest.raises(OperationError, match="Cannot write.*File too large; free space"),
    ):
        make_teacher(front_end, width=6).save(bundle)
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before


def test_a_file_that_is_interrupted_in_writing_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write_bytes(tmp_path / "file", b"content")
    assert not list(tmp_path.iterdir())


def test_a_store_of_another_teacher_or_front_end_is_refused(
    store: Store, teacher: Model, front_end: FrontEnd, tmp_path: Path
) -> None:
    with store, pytest.raises(OperationError, match="--any-teacher"):
        distill(make_teacher(front_end, width=5), out=tmp_path / "student", samples=store)
    other = replace(teacher, front_end=replace(front_end, mean=-2.0))
    with pytest.raises(OperationError, match="another front end"):
        distill(other, out=tmp_path / "student", samples=store, any_teacher=True)
    assert not (tmp_path / "student").exists()
