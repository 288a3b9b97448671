"""Distillation: every recipe, several teachers, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import frami
from frami.audio.frontend import FrontEnd
from frami.core import seeds
from frami.core.errors import UsageError
from frami.core.run import read_metrics, read_record
from frami.core.seeds import Stream
from frami.data.leakage import held_out_folds
from frami.data.store import Store
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.training import ensemble
from frami.training.recipes import RECIPES, find_recipe
from tests.conftest import make_teacher

FAST: dict[str, Any] = {"options": {"steps": 2, "batch_size": 8}, "precision": "float32"}
ONE_STEP: dict[str, Any] = {"options": {"steps": 1, "batch_size": 8}, "precision": "float32"}


def encoder_weights(model: Model) -> list[nn.Parameter]:
    return list(model.network.get_submodule("encoder").parameters())


@pytest.mark.parametrize("name", RECIPES)
def test_distill_recipe_trains_student_and_keeps_teacher(
    name: str, teacher: Model, store: Store, tmp_path: Path
) -> None:
    before = teacher.fingerprint
    students = [
        frami.distill(
            [teacher] * (1 + find_recipe(name).multi_teacher),
            samples=store,
            student="dscnn",
            out=tmp_path / str(index),
            recipe=name,
            options={"steps": 3, "batch_size": 8},
            precision="float32",
        )
        for index in range(2)
    ]
    assert students[0].fingerprint == students[1].fingerprint
    with seeds.seeded(0, Stream.WEIGHTS):
        fresh = Model.build(students[0].architecture, teacher.front_end, teacher.labels)
    weights = zip(encoder_weights(fresh), encoder_weights(students[0]), strict=True)
    assert not any(torch.equal(start, end) for start, end in weights)
    assert frami.load(teacher.save(tmp_path / "teacher")).fingerprint == before
    logged = read_metrics(tmp_path / "0")[-1]
    assert ("cross_entropy" in logged) == (name == "labels")
    assert set(logged) - {"step"} == set(find_recipe(name, labeled=False).losses)
    assert bool(students[0].architecture.projection) == find_recipe(name).reuse_head


def test_distill_recipe_unfit_for_teacher_raises(
    teacher: Model, store: Store, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="needs two teachers or more"):
        frami.distill(teacher, samples=store, out=tmp_path / "student", recipe="multi-teacher")
    architecture = Architecture("secrnn", {"width": 4})
    detector = Model.build(
        architecture, teacher.front_end, teacher.labels, task="sound-events", frame_range=(16, 16)
    )
    with pytest.raises(UsageError, match="does not use its embedding"):
        frami.distill(detector, samples=store, out=tmp_path / "student", recipe="embedding")


def test_distill_no_teacher_raises(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`teacher` is empty"):
        frami.distill([], out=tmp_path / "none", samples=store)


def test_distill_labels_count_for_recordings_and_for_store_if_weighted(
    few_tones: None, teacher: Model, store: Store, tmp_path: Path
) -> None:
    common: dict[str, Any] = {"student": "dscnn", "recipe": "embedding", "precision": "float32"}
    steps = {"steps": 1, "batch_size": 8}
    trained = frami.train(
        "tones", test_fold="0", out=tmp_path / "trained", width=4, depth=1, options=steps
    )
    recordings: dict[str, Any] = {"dataset": "tones", "test_fold": "0"}
    frami.distill(trained, out=tmp_path / "recordings", options=steps, **recordings, **common)
    weighted = {**steps, "cross_entropy": 0.5}
    frami.distill(teacher, samples=store, out=tmp_path / "store", options=weighted, **common)
    assert set(read_metrics(tmp_path / "recordings")[-1]) == {"step", "cross_entropy", "embedding"}
    assert set(read_metrics(tmp_path / "store")[-1]) == {
        "step",
        "cross_entropy",
        "logits",
        "embedding",
    }
    unweighted = {**steps, "logits": 0.0}
    with pytest.raises(UsageError, match="does not train the student's classifier"):
        frami.distill(teacher, samples=store, out=tmp_path / "none", options=unweighted, **common)


def test_distill_provenance_has_folds_of_all_teachers(
    teacher: Model, store: Store, tmp_path: Path
) -> None:
    folds = [{"dataset": "esc50", "test_fold": str(fold)} for fold in (1, 2, 3)]
    first, second, wide = (replace(teacher, provenance=fold) for fold in folds)
    common: dict[str, Any] = {"samples": store, "student": "dscnn", **ONE_STEP}
    student = frami.distill(
        [first, second], out=tmp_path / "student", embedding_teacher=wide, **common
    )
    assert held_out_folds(student.provenance) == folds


def test_distill_teacher_in_training_mode_stays_in_it(
    teacher: Model, store: Store, tmp_path: Path
) -> None:
    teacher.network.train().requires_grad_(True)
    frami.distill(
        [teacher, teacher], samples=store, student="dscnn", out=tmp_path / "student", **ONE_STEP
    )
    assert all(layer.training for layer in teacher.network.modules())
    assert all(p.requires_grad for p in teacher.network.parameters())


@pytest.mark.parametrize("recipe", ["kd", "frami-head"])
def test_distill_student_with_teacher_architecture_starts_from_other_weights(
    recipe: str, teacher: Model, store: Store, tmp_path: Path
) -> None:
    with seeds.seeded(0, Stream.WEIGHTS):
        first = Model.build(
            Architecture.from_options("resnet", 4, 1), teacher.front_end, teacher.labels
        )
    common: dict[str, Any] = {
        "any_teacher": True,
        "samples": store,
        "options": {"steps": 1, "batch_size": 8, "learning_rate": 0.0},
        "precision": "float32",
        "recipe": recipe,
        "student": "resnet",
        "width": 4,
        "depth": 1,
    }
    other_teacher = make_teacher(teacher.front_end, "tdnn")
    same = frami.distill(first, out=tmp_path / "same", **common)
    other = frami.distill(other_teacher, out=tmp_path / "other", **common)
    kernels = [[p for p in encoder_weights(model) if p.dim() > 1] for model in (first, same, other)]
    assert not any(map(torch.equal, kernels[0], kernels[1]))
    assert all(map(torch.equal, kernels[0], kernels[2]))


def test_distill_labels_alone_does_not_run_teacher(
    teacher: Model, store: Store, tmp_path: Path
) -> None:
    calls = []
    handle = teacher.network.register_forward_hook(lambda *_: calls.append(1))
    counts = []
    for recipe in ("labels", "kd"):
        calls.clear()
        frami.distill(
            teacher, samples=store, student="dscnn", out=tmp_path / recipe, recipe=recipe, **FAST
        )
        counts.append(len(calls))
    handle.remove()
    # Both run the teacher at the end, for the agreement on held-out clips. The two steps of kd take
    # one batch; before it, two passes of noise check the teacher's answers.
    assert counts[1] == counts[0] + 3


def test_distill_embedding_teacher_gives_hidden_states(
    teacher: Model, store: Store, front_end: FrontEnd, tmp_path: Path
) -> None:
    wide = make_teacher(front_end, "tdnn", width=6)
    common: dict[str, Any] = {"samples": store, "student": "dscnn", **ONE_STEP}
    logged = []
    for index, other in enumerate((None, wide)):
        out = tmp_path / str(index)
        frami.distill(teacher, out=out, recipe="dual", embedding_teacher=other, **common)
        logged.append(read_metrics(out)[-1])
    for name in ("logits", "ema_student"):
        assert logged[0][name] == pytest.approx(logged[1][name], rel=1e-4)
    assert logged[0]["hidden"] != pytest.approx(logged[1]["hidden"], rel=1e-3)
    assert not any(layer.training for model in (teacher, wide) for layer in model.network.modules())
    assert read_record(tmp_path / "1")["teacher"] == teacher.fingerprint


def test_distill_embedding_teacher_unfit_raises(
    teacher: Model, store: Store, front_end: FrontEnd, tmp_path: Path
) -> None:
    wide = make_teacher(front_end, "tdnn", width=6)
    common: dict[str, Any] = {"samples": store, "out": tmp_path / "student", **ONE_STEP}
    with pytest.raises(UsageError, match="the teacher's own head"):
        frami.distill(teacher, recipe="frami-head", embedding_teacher=wide, **common)
    with pytest.raises(UsageError, match="matches no hidden states"):
        frami.distill(teacher, recipe="kd", embedding_teacher=wide, **common)
    other = make_teacher(replace(front_end, n_mels=20))
    with pytest.raises(UsageError, match="another front end"):
        frami.distill(teacher, recipe="dual", embedding_teacher=other, **common)


def test_distill_over_budget_writes_nothing(teacher: Model, store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="of 128,000 parameters .* exceeds the budget"):
        frami.distill(
            teacher,
            samples=store,
            student="resnet",
            out=tmp_path / "student",
            budget="dcase2023",
            **ONE_STEP,
        )
    assert not (tmp_path / "student").exists()


@pytest.mark.parametrize("recipe", ["kd", "frami"])
def test_distill_several_teachers_gives_another_student_of_same_size(
    recipe: str, teacher: Model, store: Store, front_end: FrontEnd, tmp_path: Path
) -> None:
    second = make_teacher(front_end, "tdnn").save(tmp_path / "second")
    common: dict[str, Any] = {"samples": store, "recipe": recipe, **FAST}
    single = frami.distill(teacher, out=tmp_path / "single", **common)
    both = frami.distill([teacher, second], out=tmp_path / "both", **common)
    assert single.fingerprint != both.fingerprint and single.parameters == both.parameters
    # The student of a finished run is loaded without another look at the clips.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ensemble, "class_average_precision", None)
        again = frami.distill([teacher, second], out=tmp_path / "both", **common)
    assert again.fingerprint == both.fingerprint


def test_distill_teachers_with_other_standardization(
    teacher: Model, store: Store, front_end: FrontEnd, tmp_path: Path
) -> None:
    other_end = replace(front_end, mean=front_end.mean - 0.7, std=1.6 * front_end.std)
    other = make_teacher(other_end, "tdnn")
    common: dict[str, Any] = {"samples": store, **FAST}
    both = frami.distill([teacher, other], out=tmp_path / "both", recipe="multi-teacher", **common)
    hidden = frami.distill(
        teacher, embedding_teacher=other, out=tmp_path / "hidden", recipe="dual", **common
    )
    assert both.front_end == hidden.front_end == teacher.front_end


def test_distill_teachers_with_other_filterbanks_student_has_first_front_end(
    few_tones: None, tmp_path: Path
) -> None:
    common: dict[str, Any] = {
        "dataset": "tones",
        "test_fold": "0",
        "precision": "float32",
        "options": {"steps": 2},
    }
    small: dict[str, Any] = {"network": "small", "width": 4, **common}
    mel = frami.train(out=tmp_path / "mel", **small)
    other = frami.train(out=tmp_path / "gammatone", filterbank="gammatone", **small)
    assert (mel.front_end.filterbank, other.front_end.filterbank) == ("mel", "gammatone")
    student = frami.distill([mel, other], out=tmp_path / "student", **common)
    assert student.front_end == mel.front_end
