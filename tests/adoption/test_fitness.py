"""The fitness check names what stands in the way of an inversion, for teachers of each kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frami.adoption.fitness import IMPOSSIBLE, WEAK, WORKS, Fitness, check_fitness
from frami.adoption.probes import (
    NormLayers,
    ShortRound,
    are_probabilities,
    find_norms,
    summarize_answers,
)
from frami.core.errors import UsageError
from frami.inversion.gradients import GradientCheck
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.models.network import Network
from tests.conftest import LABELS, make_front_end, make_teacher

CPU: dict[str, Any] = {"device": "cpu"}
Change = Callable[[Tensor], Tensor]


class Encoder(nn.Module):
    """A convolution, a norm, and a function of the hidden state."""

    def __init__(self, norm: Callable[[int], nn.Module], change: Change = torch.relu) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(1, 6, 3, 1, 1), norm(6)
        self.change = change

    def forward(self, mel: Tensor) -> Tensor:
        return self.change(self.norm(self.convolution(mel)).mean(dim=2))


class Probabilities(nn.Module):
    """A head that returns probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(12, 3)

    def forward(self, hidden: Tensor, stats: Tensor) -> tuple[Tensor, Tensor, None]:
        return stats[:, :8], self.classifier(stats).softmax(dim=1), None


def make_model(
    norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
    change: Change = torch.relu,
    head: nn.Module | None = None,
) -> Model:
    """Return a small frozen model with statistics of noise in its batch norms."""
    torch.manual_seed(0)
    network = Network(Encoder(norm, change), channels=6, classes=3, embedding=8, head=head)
    with torch.no_grad():
        for _ in range(20):
            network.train()(torch.randn(8, 24, 16))
    network.eval().requires_grad_(False)
    front_end = make_front_end()
    return Model(Architecture("mylab.net"), network, front_end, LABELS, frame_range=(12, 16))


def text(fitness: Fitness) -> str:
    """Return the lines in one, with single spaces."""
    return " ".join(" ".join(fitness.lines()).split())


@pytest.fixture(scope="module")
def digits() -> Iterator[Fitness]:
    yield check_fitness("digits", **CPU)


@pytest.mark.slow
def test_digits_are_expected_to_work(digits: Fitness) -> None:
    assert digits.verdict == WORKS and digits.lines()[-1] == f"verdict       {WORKS}"
    assert len(digits.norms.stored) == 16 and not digits.norms.never_updated
    assert digits.gradient is not None and digits.gradient.error < 0.1
    assert digits.batch_dependence < 1e-3 and digits.change == 0
    assert digits.noise is not None and 1 < digits.noise.classes <= 10
    assert digits.round is not None and digits.round.share_after > 0.9 > digits.round.share_before


def test_few_batch_norms_are_a_weak_prior() -> None:
    fitness = check_fitness(make_model(), **CPU)
    assert fitness.verdict == WEAK
    assert "2 with running statistics" in text(fitness)


@pytest.mark.slow
def test_check_leaves_the_model_as_it_was_and_repeats() -> None:
    model = make_model()
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    model.network.train()
    assert check_fitness(model, seed=3, **CPU) == check_fitness(model, seed=3, **CPU)
    assert model.network.training
    assert all(torch.equal(before[n], now) for n, now in model.network.state_dict().items())
    assert not any(layer._forward_pre_hooks for layer in model.network.modules())


def test_norms_of_the_batch_are_named_and_measured() -> None:
    fitness = check_fitness(
        make_model(lambda n: nn.BatchNorm2d(n, track_running_stats=False)), **CPU
    )
    assert fitness.norms.of_the_batch == ("encoder.norm",)
    assert fitness.batch_dependence > 0.01
    assert "without running statistics (encoder.norm): answers depend on the batch" in text(fitness)
    assert "with the other clips of its batch" in text(fitness)


def test_norms_that_training_never_updated_are_named() -> None:
    model = make_model()
    norm = model.network.get_submodule("encoder.norm")
    assert isinstance(norm, nn.BatchNorm2d)
    norm.reset_running_stats()
    fitness = check_fitness(model, **CPU)
    assert fitness.norms.never_updated == ("encoder.norm",)
    assert fitness.norms.stored == ("head.norm",)
    assert "1 never updated (mean 0, variance 1: encoder.norm)" in text(fitness)


def test_kinds_of_norms_are_told_apart() -> None:
    with pytest.warns(DeprecationWarning):
        traced = torch.jit.trace(  # type: ignore[no-untyped-call]
            nn.BatchNorm1d(3).eval(), torch.randn(2, 3)
        )
    layers: dict[str, nn.Module] = {
        "synchronized": nn.SyncBatchNorm(3),
        "instance": nn.InstanceNorm2d(3, track_running_stats=True),
        "plain_instance": nn.InstanceNorm2d(3),
        "layer": nn.LayerNorm(3),
        "group": nn.GroupNorm(1, 3),
        "traced": traced,
    }
    with torch.no_grad():
        nn.init.constant_(layers["synchronized"].get_buffer("running_mean"), 0.5)
    norms = find_norms(nn.ModuleDict(layers))
    assert norms.stored == ("synchronized",) and norms.scripted == ("traced",)
    assert norms.other == {"InstanceNorm2d": 2, "LayerNorm": 1, "GroupNorm": 1}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (Tensor.detach, "no gradient reaches its input"),
        (lambda hidden: F.dropout(hidden, 0.5), "turn dropout and other randomness off"),
        (lambda hidden: hidden.view(7), "it raises an error (RuntimeError: shape '[7]' is invalid"),
        (lambda hidden: hidden / 0, "its logits or their gradient are not finite"),
    ],
)
def test_obstacles_are_named(change: Change, reason: str) -> None:
    model = make_model()
    encoder = model.network.get_submodule("encoder")
    assert isinstance(encoder, Encoder)
    encoder.change = change
    fitness = check_fitness(model, **CPU)
    assert fitness.verdict.startswith(IMPOSSIBLE) and reason in fitness.verdict
    assert reason.split(" (")[0] in text(fitness)


def test_probabilities_in_place_of_logits_are_named() -> None:
    fitness = check_fitness(make_model(head=Probabilities()), **CPU)
    assert fitness.verdict == IMPOSSIBLE + (
        "it returns probabilities: return the logits before the softmax or sigmoid"
    )
    logits = torch.randn(4, 3)
    for task in ("single-label", "multi-label"):
        assert not are_probabilities(task, logits)
        assert not are_probabilities(task, logits.log_softmax(dim=1))
    assert are_probabilities("multi-label", logits.sigmoid())
    assert not are_probabilities("single-label", logits.sigmoid())


def test_half_precision_and_data_parallel_are_named() -> None:
    model = make_model()
    model.network.half()
    fitness = check_fitness(model, **CPU)
    assert fitness.verdict == IMPOSSIBLE + "its weights are float16: call .float() on the network"
    model = make_model()
    model.network.encoder = nn.DataParallel(model.network.get_submodule("encoder"))
    assert "encoder spreads the network over devices: use its .module" in text(
        check_fitness(model, **CPU)
    )


@pytest.mark.slow
@pytest.mark.parametrize(("task", "network"), [("multi-label", "small"), ("sound-events", "crnn")])
def test_other_tasks_are_checked_too(task: str, network: str) -> None:
    base = make_teacher(make_front_end(), "small")
    torch.manual_seed(0)
    architecture = Architecture(network, {"width": 8})
    model = Model.build(architecture, base.front_end, LABELS, task, frame_range=(16, 24))
    fitness = check_fitness(model, **CPU)
    assert fitness.gradient is not None and not fitness.gradient.problem
    assert "of the tags" in text(fitness)


def test_verdict_needs_progress_by_the_class_prior() -> None:
    stuck, moved = ShortRound(2.0, 1.9, 0.1, 0.1), ShortRound(2.0, 1.7, 0.1, 0.4)
    assert moved.works and not stuck.works
    many = NormLayers(tuple("abcd"), (), (), {})
    fitness = Fitness(10, True, "", (), many, GradientCheck(1.0, 0.01), round=moved)
    assert fitness.verdict == WORKS
    assert replace(fitness, round=stuck, class_prior_round=moved).verdict == WEAK
    failed = replace(fitness, round=stuck, class_prior_round=stuck)
    assert "a short inversion did not bring its answers nearer" in failed.verdict
    assert replace(fitness, rendered=0.8).verdict == WORKS
    assert (
        "rendering waveforms changes 45% of the answers" in replace(fitness, rendered=0.55).verdict
    )
    assert "same class for 55%" in text(replace(fitness, rendered=0.55))
    assert replace(fitness, norms=NormLayers(tuple("abc"), (), (), {})).verdict == WEAK


def test_summary_of_answers_equals_a_count() -> None:
    logits = torch.tensor([[2.0, 0.0, 0.0], [3.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    answers = summarize_answers(make_model(), logits)
    rows = [[math.exp(v) / sum(map(math.exp, row)) for v in row] for row in logits.tolist()]
    entropy = sum(-p * math.log(p) for row in rows for p in row) / 3 / math.log(3)
    assert (answers.classes, answers.label) == (2, LABELS[0])
    assert answers.top_share == pytest.approx(2 / 3)
    assert answers.entropy == pytest.approx(entropy, rel=1e-5)
    assert answers.confidence == pytest.approx(sum(map(max, rows)) / 3, rel=1e-5)


def test_bundle_by_name_or_folder_is_loaded(tmp_path: Any) -> None:
    teacher = make_teacher(make_front_end(), "small")
    by_folder = check_fitness(teacher.save(tmp_path / "teacher"), **CPU)
    assert by_folder.lines() == check_fitness(teacher, **CPU).lines()
    with pytest.raises(UsageError):
        check_fitness(tmp_path / "nothing")
