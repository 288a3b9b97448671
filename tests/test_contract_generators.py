"""What every inversion method keeps to; a new file in generators/ is found and held to it."""

from __future__ import annotations

import copy
import itertools
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from frami.audio import transforms
from frami.audio.frontend import FrontEnd
from frami.core import registry
from frami.core.errors import UsageError
from frami.core.runtime import Runtime
from frami.core.settings import make_settings
from frami.datasets import tones
from frami.generators.frami import LossTerms, Method
from frami.inversion import losses
from frami.inversion.losses import class_prior_loss
from frami.inversion.targets import TARGET_SAMPLERS
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.models.network import FrameHead
from tests.conftest import FAST, LABELS, make_teacher

METHODS = registry.names("generators")
DUEL = {"iterations": 2, "student_steps": 1}
TARGET = torch.tensor([0, 1, 2, 1, 0, 2])
KINDS = [
    *((method, {}) for method in METHODS),
    ("deepinversion", {"adversary": 1.0}),
    ("fastmeta", {"form": "reptile"}),
    ("nayer", {"embedding": "learned"}),
]


@pytest.fixture(autouse=True)
def few_tones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tones, "TRAIN_PER_CLASS", 2)


def known_to(method: str) -> set[str]:
    """Return the names of a method's settings."""
    return {field.name for field in fields(registry.load("generators", method).Settings)}


def generator(method: str, teacher: Model, runtime: Runtime, seed: int = 0, **options: Any) -> Any:
    module = registry.load("generators", method)
    chosen = {
        name: value for name, value in (FAST | DUEL | options).items() if name in known_to(method)
    }
    return module.Method(teacher, make_settings(module.Settings, chosen), runtime, seed)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("network", registry.names("teachers") + registry.names("students"))
def test_clips_have_the_shape_and_range_asked_for(
    method: str, network: str, front_end: FrontEnd, runtime: Runtime
) -> None:
    made = generator(method, make_teacher(front_end, network, width=8), runtime)
    low, high = front_end.value_range
    for number, frames in enumerate((17, 24)):
        mel = made.run_round(number, TARGET, frames).mel
        assert mel.shape == (len(TARGET), front_end.n_mels, frames)
        assert mel.dtype == torch.float32 and not mel.requires_grad
        assert bool(((mel >= low - 1e-4) & (mel <= high + 1e-4)).all())


@pytest.mark.parametrize(("method", "chosen"), KINDS)
def test_same_seed_same_bytes_and_another_seed_others(
    method: str, chosen: dict[str, Any], teacher: Model, runtime: Runtime
) -> None:
    runs = []
    for seed in (0, 0, 1):
        made = generator(method, teacher, runtime, seed, **chosen)
        runs.append(torch.cat([made.run_round(number, TARGET, 16).mel for number in range(3)]))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


@pytest.mark.parametrize(("method", "chosen"), KINDS)
def test_state_is_all_that_the_next_round_needs(
    method: str, chosen: dict[str, Any], teacher: Model, runtime: Runtime
) -> None:
    first = generator(method, teacher, runtime, **chosen)
    for number in range(2):
        first.run_round(number, TARGET, 16)
    second = generator(method, teacher, runtime, **chosen)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for number in (2, 3):
        assert torch.equal(
            first.run_round(number, TARGET, 20).mel, second.run_round(number, TARGET, 20).mel
        )


@pytest.mark.parametrize(("method", "chosen"), KINDS)
def test_teacher_is_untouched_and_keeps_no_hook(
    method: str, chosen: dict[str, Any], teacher: Model, runtime: Runtime
) -> None:
    before = {name: tensor.clone() for name, tensor in teacher.network.state_dict().items()}
    generator(method, teacher, runtime, **chosen).run_round(0, TARGET, 16)
    assert all(
        torch.equal(before[name], tensor) for name, tensor in teacher.network.state_dict().items()
    )
    for layer in teacher.network.modules():
        assert (
            not layer._forward_hooks and not layer._forward_pre_hooks and not layer._backward_hooks
        )
    assert not any(p.requires_grad or p.grad is not None for p in teacher.network.parameters())


@pytest.mark.parametrize("task", ["multi-label", "sound-events"])
@pytest.mark.parametrize("method", [method for method in METHODS if method != "nayer"])
def test_teachers_of_tags_and_of_events_are_inverted_as_well(
    method: str, task: str, front_end: FrontEnd, runtime: Runtime
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        arguments = {"width": 4, "depth": 2, "embedding": 8}
        teacher = Model.build(
            Architecture("crnn", arguments), front_end, LABELS, task, frame_range=(32, 32)
        )
    teacher.network.eval().requires_grad_(False)
    made = generator(method, teacher, runtime, adversary=1.0)
    for number in range(2):
        target = TARGET_SAMPLERS[task](torch.ones(len(LABELS), len(LABELS)), 6, number, 0, 32)
        inverted = made.run_round(number, target, 32)
        assert inverted.mel.shape == (6, front_end.n_mels, 32)
        assert inverted.target is None or inverted.target.shape[:2] == target.shape[:2]


def test_what_a_turned_clip_is_asked_for_turns_with_it(
    front_end: FrontEnd, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = Model.build(
        Architecture("secrnn", {"width": 4}),
        front_end,
        LABELS,
        "sound-events",
        frame_range=(32, 32),
    )
    teacher.network.eval().requires_grad_(False)
    monkeypatch.setattr(transforms, "roll", lambda both, rng: both.roll(12, dims=2))
    mel, wanted = torch.randn(2, front_end.n_mels, 32), torch.zeros(2, len(LABELS), 32)
    wanted[:, 1, 4:16] = 1
    found = LossTerms(generator("frami", teacher, runtime), wanted, torch.Generator())(mel)[
        "class_prior"
    ]()
    said = teacher.network(mel.roll(12, dims=2))
    expected, unturned = (
        class_prior_loss(said, asked) for asked in (wanted.roll(12, dims=2), wanted)
    )
    assert (
        float(found) == pytest.approx(float(expected), rel=1e-5)
        and abs(float(expected - unturned)) > 1e-3
    )


class Halves(nn.Module):
    """Hears the lower and the upper half of the bands, in frames of four."""

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        return nn.functional.avg_pool1d(mel[:, 0].unflatten(1, (2, -1)).mean(dim=2), 4)


def test_what_is_heard_is_heard_when_it_was_asked_for(
    front_end: FrontEnd, runtime: Runtime
) -> None:
    teacher = Model.build(
        Architecture("secrnn", {"width": 4}),
        front_end,
        ("low", "high"),
        "sound-events",
        frame_range=(64, 64),
    )
    network = teacher.network
    network.encoder, network.channels, network.head = Halves(), 2, FrameHead(4, 2, 2)
    with torch.no_grad():
        network.head.frame_classifier.weight.copy_(6 * torch.eye(2).unsqueeze(2))
        network.head.frame_classifier.bias.zero_()
    network.eval().requires_grad_(False)
    few = {"adversary": 0.0, "contrast": 0.0, "batch_norm": 0.0, "siblings": 0, "steps": 5}
    made = generator("frami", teacher, runtime, **few)
    for number in range(12):
        asked = TARGET_SAMPLERS["sound-events"](torch.ones(2, 2), 8, number, 0, 64)
        said = network(made.run_round(number, asked, 64).mel)
    then, later, of_another = (
        class_prior_loss(said, of) for of in (asked, asked.roll(16, dims=2), asked.roll(1, 0))
    )
    assert float(then) < 0.5 * float(later) and float(then) < 0.5 * float(of_another)


def weights(method: str) -> list[str]:
    """Return the settings of a method that are weights of losses."""
    return [
        f.name
        for f in fields(registry.load("generators", method).Settings)
        if f.metadata.get("loss")
    ]


@pytest.mark.parametrize(
    ("method", "weight"), [(method, weight) for method in METHODS for weight in weights(method)]
)
def test_a_weight_of_zero_leaves_its_loss_out(
    method: str, weight: str, teacher: Model, runtime: Runtime
) -> None:
    every = dict.fromkeys(weights(method), 1.0)
    assert set(generator(method, teacher, runtime, **every).run_round(0, TARGET, 16).losses) == set(
        every
    )
    left = (
        generator(method, teacher, runtime, **every | {weight: 0.0}).run_round(0, TARGET, 16).losses
    )
    assert set(left) == set(every) - {weight}


FORMS = [
    *((method, {}) for method in METHODS if weights(method)),
    ("fastmeta", {"form": "reptile"}),
    ("nayer", {"embedding": "learned"}),
    *(
        (method, {"views": kind})
        for method in METHODS
        for kind in ("image", "none")
        if "views" in known_to(method)
    ),
]


@pytest.mark.parametrize(("method", "chosen"), FORMS)
def test_all_losses_together_fall_within_a_round(
    method: str, chosen: dict[str, str], teacher: Model, runtime: Runtime
) -> None:
    every = {
        name: 1.0
        for name in weights(method)
        if name != "adversary" or weights(method) == ["adversary"]
    }
    quiet = {
        "student_steps": 0,
        "adversary": float("adversary" in every),
        "queue": 0,
        "negatives": 0,
    }
    still = {"learning_rate": 0.0, "latent_rate": 0.0, "meta_rate": 0.0}
    found = []
    # What stands still has the best of 40 draws of its views, too.
    for rates in ({}, still):
        made = generator(
            method,
            teacher,
            runtime,
            **(every | quiet | rates | chosen | {"steps": 40, "iterations": 40}),
        )
        found.append(sum(made.run_round(0, TARGET, 16).losses.values()))
    assert found[0] < found[1] - 0.02 * abs(found[1])


@pytest.mark.parametrize(("weight", "fraction"), [("class_prior", 0.8), ("batch_norm", 0.98)])
def test_each_loss_falls_alone(
    weight: str, fraction: float, teacher: Model, runtime: Runtime
) -> None:
    others = {name: 0.0 for name in weights("frami") if name != weight}
    made = generator(
        "frami", teacher, runtime, siblings=0, steps=5, momentum=0.0, queue=0, **others
    )
    losses = [made.run_round(number, TARGET, 16).losses[weight] for number in range(30)]
    assert sum(losses[-5:]) < fraction * sum(losses[:5])


@pytest.mark.parametrize("method", [method for method in METHODS if "adversary" in weights(method)])
def test_the_student_in_the_making_is_another_and_learns(
    method: str, teacher: Model, runtime: Runtime
) -> None:
    made = generator(method, teacher, runtime, proxy_steps=3, adversary=1.0, student_steps=3)
    found, known = [], []
    for number in range(6):
        found.append(made.run_round(number, TARGET, 16).losses["adversary"])
        known.append(copy.deepcopy(made.state_dict()["proxy"]["network"]))
    assert max(abs(value) for value in found) > 1e-4
    # Each round teaches it something.
    for before, after in itertools.pairwise(known):
        assert any(
            not torch.equal(before[name], after[name]) for name in before if name.endswith("weight")
        )


def test_embeddings_of_classes_may_come_from_a_file(
    teacher: Model, runtime: Runtime, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.npy"
    np.save(rows, np.eye(3, 7))
    assert generator("nayer", teacher, runtime, embedding=str(rows)).run_round(
        0, TARGET, 16
    ).mel.shape[0] == len(TARGET)
    np.save(rows, np.eye(2, 7))
    with pytest.raises(UsageError, match="one row for each of the 3 classes"):
        generator("nayer", teacher, runtime, embedding=str(rows))


def test_the_bank_of_cmi_keeps_the_latest(teacher: Model, runtime: Runtime) -> None:
    made = generator("cmi", teacher, runtime, bank=8)
    banks = []
    for number in range(3):
        made.run_round(number, TARGET, 16)
        banks.append(made.state_dict()["bank"].clone())
    assert [len(bank) for bank in banks] == [6, 8, 8]
    assert torch.equal(banks[2][6:], banks[1][:2]) and not torch.equal(banks[2][:6], banks[1][:6])


@pytest.mark.parametrize(("siblings", "optimised"), [(0, 24), (1, 12), (3, 6)])
def test_siblings_are_of_their_class_though_nothing_optimises_them(
    siblings: int, optimised: int, teacher: Model, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[int] = []
    loss = class_prior_loss
    monkeypatch.setattr(
        losses,
        "class_prior_loss",
        lambda said, wanted: judged.append(len(wanted)) or loss(said, wanted),
    )
    others = {name: 0.0 for name in weights("frami") if name != "class_prior"}
    made = generator("frami", teacher, runtime, siblings=siblings, steps=5, **others)
    target, found = TARGET.repeat(4), []
    for number in range(30):
        mel = made.run_round(number, target, 16).mel
        assert len(mel.unique(dim=0)) == len(target)
        with torch.no_grad():
            found.append(teacher.network(mel).logits.argmax(dim=1) == target)
    assert set(judged) == {optimised}
    assert (
        float(torch.stack(found[20:])[:, -6:].float().mean()) > 0.7
    )  # the last six are optimised only if all are


def test_the_queue_is_of_fixed_length(teacher: Model, runtime: Runtime) -> None:
    made: Method = generator("frami", teacher, runtime, siblings=0, queue=8)
    for number in range(3):
        made.run_round(number, TARGET, 16)
    assert len(made.contrast.queue_before) == len(made.contrast.queue_after) == 8


def test_clips_differ_by_the_circumstances_of_their_recording(
    teacher: Model, runtime: Runtime
) -> None:
    spread = {}
    for level in (0.0, 2.0):
        made = generator("frami", teacher, runtime, steps=1, level=level, filter=0.0, envelope=0.0)
        spread[level] = float(made.run_round(0, TARGET, 16).mel.mean(dim=(1, 2)).std())
    assert spread[2.0] > 3 * spread[0.0]
