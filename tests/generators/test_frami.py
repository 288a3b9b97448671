"""The method FRAMI: events in time, siblings, queue, diversity and noise texture."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from frami.audio import transforms
from frami.audio.frontend import FrontEnd
from frami.core.runtime import Runtime
from frami.core.settings import make_settings
from frami.generators.frami import Method, Settings
from frami.inversion import losses
from frami.inversion.losses import class_prior_loss
from frami.inversion.targets import TARGET_SAMPLERS
from frami.models.architecture import Architecture
from frami.models.heads import FrameHead
from frami.models.model import Model
from frami.models.network import Output
from tests.conftest import FAST, LABELS

TARGET = torch.tensor([0, 1, 2, 1, 0, 2])
WEIGHTS = [field.name for field in fields(Settings) if field.metadata.get("loss")]


DECODE = Method._decode


def make_frami(teacher: Model, runtime: Runtime, **options: Any) -> Method:
    return Method(teacher, make_settings(Settings, FAST | options), runtime, 0)


def test_target_of_events_is_rotated_with_the_clip(
    front_end: FrontEnd, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    architecture = Architecture("secrnn", {"width": 4})
    teacher = Model.build(architecture, front_end, LABELS, "sound-events", frame_range=(32, 32))
    teacher.network.eval().requires_grad_(False)
    monkeypatch.setattr(transforms, "roll", lambda both, rng: both.roll(12, dims=2))
    mel, target = torch.randn(2, front_end.n_mels, 32), torch.zeros(2, len(LABELS), 32)
    target[:, 1, 4:16] = 1
    terms, _ = make_frami(teacher, runtime).compute_losses(mel, target, torch.Generator())
    output = teacher.network(mel.roll(12, dims=2))
    rotated, original = (class_prior_loss(output, t) for t in (target.roll(12, dims=2), target))
    assert float(terms["class_prior"]()) == pytest.approx(float(rotated), rel=1e-5)
    assert abs(float(rotated - original)) > 1e-3


class HalfBands(nn.Module):
    """Two channels, the means of the lower and the upper half of the bands, every four frames."""

    def forward(self, mel: Tensor) -> Tensor:
        halves = mel[:, 0].chunk(2, dim=1)
        return nn.functional.avg_pool1d(torch.stack([h.mean(dim=1) for h in halves], dim=1), 4)


@pytest.mark.slow
def test_events_are_made_at_their_target_times(front_end: FrontEnd, runtime: Runtime) -> None:
    architecture, labels = Architecture("secrnn", {"width": 4}), ("low", "high")
    teacher = Model.build(architecture, front_end, labels, "sound-events", frame_range=(64, 64))
    network, head = teacher.network, FrameHead(4, 2, 2)
    network.encoder, network.channels, network.head = HalfBands(), 2, head
    with torch.no_grad():
        head.frame_classifier.weight.copy_(6 * torch.eye(2).unsqueeze(2))
        assert head.frame_classifier.bias is not None
        head.frame_classifier.bias.zero_()
    network.eval().requires_grad_(False)
    options = {"adversary": 0.0, "contrast": 0.0, "batch_norm": 0.0, "siblings": 0, "steps": 5}
    inversion = make_frami(teacher, runtime, **options)
    for index in range(12):
        target = TARGET_SAMPLERS["sound-events"](torch.ones(2, 2), 8, index, 0, 64)
        output = network(inversion.run_round(index, target, 64).mel)
    own, later, of_another = (
        float(class_prior_loss(output, t))
        for t in (target, target.roll(16, dims=2), target.roll(1, 0))
    )
    assert own < 0.5 * later and own < 0.5 * of_another


@pytest.mark.slow
@pytest.mark.parametrize(("weight", "fraction"), [("class_prior", 0.5), ("batch_norm", 0.95)])
def test_each_loss_falls_alone(
    weight: str, fraction: float, teacher: Model, runtime: Runtime
) -> None:
    others = {name: 0.0 for name in WEIGHTS if name != weight}
    options = others | {"siblings": 0, "steps": 5, "momentum": 0.0, "queue": 0, "sounds": 0.0}
    inversion = make_frami(teacher, runtime, **options)
    values = [inversion.run_round(index, TARGET, 16).losses[weight] for index in range(60)]
    assert sum(values[-5:]) < fraction * sum(values[:5])


@pytest.mark.slow
@pytest.mark.parametrize(("siblings", "optimized"), [(0, 24), (1, 12), (3, 6)])
def test_siblings_are_of_their_class_without_being_optimized(
    siblings: int, optimized: int, teacher: Model, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_sizes: set[int] = set()

    def record_batch_size(output: Output, target: Tensor) -> Tensor:
        batch_sizes.add(len(target))
        return class_prior_loss(output, target)

    monkeypatch.setattr(losses, "class_prior_loss", record_batch_size)
    others = {name: 0.0 for name in WEIGHTS if name != "class_prior"}
    others |= {"siblings": siblings, "siblings_start": 0, "steps": 5, "sounds": 0.0}
    inversion = make_frami(teacher, runtime, **others)
    target, correct = TARGET.repeat(4), []
    for index in range(50):
        mel = inversion.run_round(index, target, 16).mel
        assert len(torch.unique(mel, dim=0)) == len(target)
        with torch.no_grad():
            correct.append(teacher.network(mel).logits.argmax(dim=1) == target)
    assert batch_sizes == {optimized}
    # The last six clips of a round are only optimized if all are.
    assert float(torch.stack(correct[40:])[:, -6:].float().mean()) > 0.8


@pytest.mark.parametrize(("index", "expected"), [(0, 24), (1, 24), (2, 6)])
def test_siblings_begin_after_the_first_clips(
    index: int, expected: int, teacher: Model, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def decode(self: Method, decoder: object, target: Tensor, inputs: object) -> Tensor:
        sizes.append(len(target))
        return DECODE(self, decoder, target, inputs)  # type: ignore[arg-type]

    monkeypatch.setattr(Method, "_decode", decode)
    inversion = make_frami(teacher, runtime, siblings=3, siblings_start=30, steps=1)
    inversion.run_round(index, TARGET.repeat(4), 16)
    assert sizes[0] == expected and sum(sizes) == 24


def test_queue_has_a_fixed_length(teacher: Model, runtime: Runtime) -> None:
    inversion = make_frami(teacher, runtime, siblings=0, queue=8)
    for index in range(3):
        inversion.run_round(index, TARGET, 16)
    assert [len(queue) for queue in inversion.contrast.head.queues] == [8, 8, 8]


def test_level_makes_clips_differ(teacher: Model, runtime: Runtime) -> None:
    spread = {}
    for level in (0.0, 2.0):
        inversion = make_frami(
            teacher, runtime, steps=1, level=level, filter=0.0, envelope=0.0, sounds=0.0
        )
        mel = inversion.run_round(0, TARGET, 16).mel
        spread[level] = float(mel.mean(dim=(1, 2)).std())
    assert spread[2.0] > 3 * spread[0.0]


@pytest.mark.parametrize(("every", "expected"), [(1, 5), (2, 3), (5, 1)])
def test_contrast_is_computed_in_some_steps_only(
    every: int, expected: int, teacher: Model, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    inversion = make_frami(teacher, runtime, steps=5, contrast_every=every)
    values, compute = [], inversion.contrast.head.loss

    def record(*arguments: Any) -> Tensor:
        values.append(compute(*arguments))
        return values[-1]

    monkeypatch.setattr(inversion.contrast.head, "loss", record)
    for index in range(2):
        result = inversion.run_round(index, torch.tensor([0, 1]), 24)
        assert len(values) == (1 + index) * expected
        # In the steps between, the last value counts.
        assert result.losses["contrast"] == pytest.approx(
            float(values[index * expected + result.step // every].detach())
        )
