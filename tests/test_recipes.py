"""What every recipe keeps to; and budgets that a network may not break."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import frami
from frami.audio.frontend import FrontEnd
from frami.core import seeds
from frami.core.errors import OperationError, UsageError
from frami.core.run import read_metrics, read_record
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.data.leakage import held_out_folds
from frami.data.store import Store, train_holdout_split
from frami.evaluate import complexity
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.models.network import Output
from frami.training import augment, loop, losses
from frami.training.recipes import RECIPES, find_recipe
from frami.training.student import EMAStudent
from tests.conftest import LABELS, make_teacher


@pytest.mark.parametrize("name", RECIPES)
def test_a_student_learns_by_every_recipe_and_its_teacher_stays(
    name: str, teacher: Model, store: Store, tmp_path: Path
) -> None:
    before = teacher.fingerprint
    made = [
        frami.distill(
            [teacher] * (1 + find_recipe(name).multi_teacher),
            samples=store,
            student="dscnn",
            out=tmp_path / str(number),
            recipe=name,
            options={"steps": 3, "batch_size": 8},
            precision="float32",
        )
        for number in range(2)
    ]
    assert made[0].fingerprint == made[1].fingerprint
    with seeds.seeded(0, Stream.WEIGHTS):
        fresh = Model.build(made[0].architecture, teacher.front_end, teacher.labels).network.encoder
    learned = zip(fresh.parameters(), made[0].network.encoder.parameters(), strict=True)
    assert not any(torch.equal(start, end) for start, end in learned)
    frozen = frami.load(teacher.save(tmp_path / "teacher"))
    assert frozen.fingerprint == before
    weights = find_recipe(name, labelled=False).weights
    logged = read_metrics(tmp_path / "0")[-1]
    assert ("cross_entropy" in logged) == (name == "labels")
    assert set(logged) - {"step"} == {objective for objective, weight in weights.items() if weight}
    assert bool(made[0].architecture.projection) == find_recipe(name).reuse_head


def test_a_recipe_that_does_not_suit_the_teacher_is_refused(
    teacher: Model, store: Store, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="for two teachers or more"):
        frami.distill(teacher, samples=store, out=tmp_path / "student", recipe="multi-teacher")
    built = Architecture("secrnn", {"width": 4})
    detector = Model.build(
        built, teacher.front_end, teacher.labels, task="sound-events", frame_range=(16, 16)
    )
    with pytest.raises(UsageError, match="no embedding that it uses"):
        frami.distill(detector, samples=store, out=tmp_path / "student", recipe="embedding")


def test_labels_of_recordings_count_and_those_of_a_store_if_they_are_given_a_weight(
    teacher: Model, store: Store, tmp_path: Path
) -> None:
    few = {"student": "dscnn", "recipe": "embedding", "precision": "float32"}
    steps = {"steps": 1, "batch_size": 8}
    heard = frami.train(
        "tones", test_fold="0", out=tmp_path / "heard", width=4, depth=1, options=steps
    )
    frami.distill(
        heard, dataset="tones", test_fold="0", out=tmp_path / "recordings", options=steps, **few
    )
    frami.distill(
        teacher,
        samples=store,
        out=tmp_path / "store",
        options={**steps, "cross_entropy": 0.5},
        **few,
    )
    assert set(read_metrics(tmp_path / "recordings")[-1]) == {"step", "cross_entropy", "embedding"}
    assert set(read_metrics(tmp_path / "store")[-1]) == {
        "step",
        "cross_entropy",
        "logits",
        "embedding",
    }
    with pytest.raises(UsageError, match="Nothing would teach the student's classifier"):
        frami.distill(
            teacher, samples=store, out=tmp_path / "none", options={**steps, "logits": 0.0}, **few
        )


def test_a_student_knows_what_each_of_its_teachers_learned_from(
    teacher: Model, store: Store, front_end: FrontEnd, tmp_path: Path
) -> None:
    folds = [{"dataset": "esc50", "test_fold": str(fold)} for fold in (1, 2, 3)]
    first, second, wide = (
        replace(model, provenance=fold) for model, fold in zip([teacher] * 3, folds, strict=True)
    )
    few = {
        "samples": store,
        "student": "dscnn",
        "options": {"steps": 1, "batch_size": 8},
        "precision": "float32",
    }
    student = frami.distill(
        [first, second], out=tmp_path / "student", embedding_teacher=wide, **few
    )
    assert held_out_folds(student.provenance) == folds
    # Models that are still being trained teach as well, and stay as they are.
    for model in (first, second):
        model.network.train().requires_grad_(True)
    frami.distill([first, second], out=tmp_path / "again", **few)
    assert all(layer.training for layer in teacher.network.modules())


@pytest.mark.parametrize("recipe", ["kd", "frami-head"])
def test_a_student_of_its_teachers_build_and_seed_begins_on_its_own(
    recipe: str, teacher: Model, store: Store, tmp_path: Path
) -> None:
    with seeds.seeded(0, Stream.WEIGHTS):
        first = Model.build(
            Architecture.from_options("resnet", 4, 1), teacher.front_end, teacher.labels
        )
    few = {
        "any_teacher": True,
        "samples": store,
        "options": {"steps": 1, "batch_size": 8, "learning_rate": 0.0},
        "precision": "float32",
        "recipe": recipe,
    }
    few |= {"student": "resnet", "width": 4, "depth": 1}
    same, other = (
        frami.distill(first, out=tmp_path / "same", **few),
        frami.distill(make_teacher(teacher.front_end, "tdnn"), out=tmp_path / "other", **few),
    )
    kernels = [
        [p for p in m.network.encoder.parameters() if p.dim() > 1] for m in (first, same, other)
    ]
    assert not any(map(torch.equal, kernels[0], kernels[1])) and all(
        map(torch.equal, kernels[0], kernels[2])
    )


def test_a_teacher_is_not_heard_where_labels_alone_count(
    teacher: Model, store: Store, tmp_path: Path
) -> None:
    heard = []
    handle = teacher.network.register_forward_hook(lambda *_: heard.append(1))
    few = {
        "samples": store,
        "student": "dscnn",
        "options": {"steps": 2, "batch_size": 8},
        "precision": "float32",
    }
    steps = []
    for recipe in ("labels", "kd"):
        heard.clear()
        frami.distill(teacher, out=tmp_path / recipe, recipe=recipe, **few)
        steps.append(len(heard))
    handle.remove()
    assert steps[1] == steps[0] + 2  # both are asked at the end how well the student agrees


def test_hidden_states_may_be_those_of_another_model(
    teacher: Model, store: Store, front_end: FrontEnd, tmp_path: Path
) -> None:
    wide, few = make_teacher(front_end, "tdnn", width=6), {"samples": store, "precision": "float32"}
    few |= {"student": "dscnn", "options": {"steps": 1, "batch_size": 8}}
    logged = []
    for number, other in enumerate((None, wide)):
        frami.distill(
            teacher, out=tmp_path / str(number), recipe="dual", embedding_teacher=other, **few
        )
        logged.append(read_metrics(tmp_path / str(number))[-1])
    for name in ("logits", "ema_student"):
        assert logged[0][name] == pytest.approx(logged[1][name], rel=1e-4)
    assert logged[0]["hidden"] != pytest.approx(logged[1]["hidden"], rel=1e-3)
    with pytest.raises(UsageError, match="the teacher's own head"):
        frami.distill(
            teacher, out=tmp_path / "c", recipe="frami-head", embedding_teacher=wide, **few
        )
    assert not any(layer.training for model in (teacher, wide) for layer in model.network.modules())
    assert read_record(tmp_path / "1")["teacher"] == teacher.fingerprint
    with pytest.raises(UsageError, match="matches no hidden states"):
        frami.distill(teacher, out=tmp_path / "c", recipe="kd", embedding_teacher=wide, **few)
    with pytest.raises(UsageError, match="another front end"):
        other = make_teacher(replace(front_end, n_mels=20))
        frami.distill(teacher, out=tmp_path / "c", recipe="dual", embedding_teacher=other, **few)


def test_a_store_of_other_classes_or_of_another_task_is_refused(
    teacher: Model, store: Store, tmp_path: Path
) -> None:
    few = {"samples": store, "out": tmp_path / "student", "any_teacher": True}
    for labels, named in (
        (("dog", "cat", "cow"), "3 \\(dog, cat, cow\\)"),
        ((*LABELS, "cow"), "4 \\(rise, fall, pulse, ...\\)"),
    ):
        with pytest.raises(
            OperationError,
            match=f"of 3 classes \\(rise, fall, pulse\\), this teacher knows {named}",
        ):
            frami.distill(Model.build(teacher.architecture, teacher.front_end, labels), **few)
    with pytest.raises(
        OperationError, match="made for the task single-label, this teacher's is multi-label"
    ):
        frami.distill(replace(teacher, task="multi-label"), **few)
    assert not (tmp_path / "student").exists()


def test_a_network_beyond_the_budget_is_refused_before_anything_is_written(
    teacher: Model, store: Store, tmp_path: Path
) -> None:
    few = {"options": {"steps": 1, "batch_size": 8}, "budget": "dcase2023"}
    with pytest.raises(UsageError, match=r"of 128,000 parameters .* beyond the budget"):
        frami.train("tones", test_fold="0", network="resnet", out=tmp_path / "large", **few)
    assert not (tmp_path / "large").exists()
    with pytest.raises(UsageError, match=r"of 128,000 parameters .* beyond the budget"):
        frami.distill(teacher, samples=store, student="resnet", out=tmp_path / "student", **few)
    assert not (tmp_path / "student").exists()
    # Few parameters, and too much work for each second.
    built = Architecture("resnet", {"width": 12})
    for bands in (64, 400):
        slow = Model.build(built, FrontEnd(n_mels=bands), ("a", "b"))
        assert slow.parameters < 128_000
        if bands == 64:
            assert complexity.check_budget("dcase2023", slow).startswith("Within")
    with pytest.raises(UsageError, match=r"beyond the budget"):
        complexity.check_budget("dcase2023", slow)
    small = frami.train("tones", test_fold="0", network="small", out=tmp_path / "small", **few)
    assert complexity.check_budget("dcase2023", small).startswith("Within the budget")
    with pytest.raises(UsageError, match="dcase2023"):
        complexity.check_budget("dcase2032", small)


def test_a_student_is_asked_to_say_what_its_own_average_says(
    teacher: Model, store: Store, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips, student = train_holdout_split(store)[0], make_teacher(teacher.front_end, "small")
    recipe = find_recipe("dual", {"ema_student": 1.0, "logits": 0.0, "hidden": 0.0})
    networks, compared = [copy.deepcopy(student.network)], []
    step, softened = loop._TrainingState.step, losses.logits_loss

    def kept(learning: loop._TrainingState, loss: torch.Tensor) -> None:
        step(learning, loss)
        networks.append(copy.deepcopy(learning.learner.network))

    def noted(told: Output, said: Output, target: torch.Tensor) -> torch.Tensor:
        compared.append(told.logits.clone())
        return softened(told, said, target)

    heard: list[torch.Tensor] = []
    original = augment.augment
    monkeypatch.setattr(loop._TrainingState, "step", kept)
    monkeypatch.setattr(losses, "logits_loss", noted)
    monkeypatch.setattr(
        augment, "augment", lambda *a, **k: heard.append(original(*a, **k)) or heard[-1]
    )
    loop.fit(
        student,
        clips,
        recipe,
        loop.TrainingSettings(steps=3, batch_size=8),
        runtime,
        teacher=teacher,
    )
    mean = copy.deepcopy(networks[0])
    for number, (mel, _) in enumerate(heard):
        if number:
            for average, now in zip(mean.parameters(), networks[number].parameters(), strict=True):
                average.data = 0.99 * average.data + 0.01 * now.data
        with torch.no_grad():
            torch.testing.assert_close(
                mean.train()(mel).logits, compared[number], rtol=1e-4, atol=1e-5
            )
    assert len(compared) == 3


def test_the_mean_student_is_the_moving_average_of_the_students_weights() -> None:
    student = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    mean = EMAStudent(student, 0.9)
    expected = student[0].weight.detach().clone()
    for step in range(3):
        with torch.no_grad():
            student[0].weight += step + 1
        student(torch.randn(4, 2))
        mean.update(student)
        expected = 0.9 * expected + 0.1 * student[0].weight.detach()
    torch.testing.assert_close(mean.network[0].weight, expected)
    torch.testing.assert_close(mean.network[1].running_mean, student[1].running_mean)
    assert not any(p.requires_grad for p in mean.network.parameters())
