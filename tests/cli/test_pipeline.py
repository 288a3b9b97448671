"""The whole pipeline on generated tones: what the commands print, write and record."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import frami
from frami.audio.frontend import FrontEnd
from frami.core import progress
from frami.core.environment import environment
from frami.core.errors import UsageError
from frami.core.run import read_record
from frami.datasets import tones
from frami.models import model
from frami.models.model import Model
from tests.cli.conftest import INVERSION, TONES, TRAINING, Frami, next_commands
from tests.conftest import FAST, make_teacher


@pytest.mark.slow
def test_pipeline_on_tones_goes_from_recordings_to_the_scores_of_a_student(
    call: Frami, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(progress, "SECONDS_BEFORE_FIRST_LINE", 0.0)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    size = ["--width", "4", "--depth", "1"]
    trained = call("train", *TONES, *size, "--out", "teacher", *TRAINING)
    assert trained.code == 0 and "is in teacher" in trained.out
    assert "training: 4/4, took" in trained.err
    assert [line.split()[1] for line in next_commands(trained)] == ["evaluate", "synthesize"]

    inverted = call(
        "synthesize", "--teacher", "teacher", "--samples", "16", "--out", "samples.h5", *INVERSION
    )
    assert inverted.code == 0 and "samples.h5 holds 16 clips (16 new)." in inverted.out
    assert re.search(r"synthesis: 8/16, \d+ s left", inverted.err)
    assert "synthesis: 16/16, took" in inverted.err
    assert [line.split()[1] for line in next_commands(inverted)] == ["inspect", "distill"]

    distilled = call(
        "distill", "--teacher", "teacher", "--samples", "samples.h5", "--out", "student", *TRAINING
    )
    assert distilled.code == 0 and "is in student" in distilled.out
    assert "Agreement with the teacher on held-out synthetic clips:" in distilled.out
    assert [line.split()[1] for line in next_commands(distilled)] == ["inspect", "evaluate"]

    evaluated = call(
        *("evaluate", "student", "--teacher", "teacher", *TONES),
        *("--json", "scores.json", "--threads", "1"),
    )
    assert evaluated.code == 0 and "on 20 clips of tones, fold 0" in evaluated.out
    assert re.search(r"agreement [01]\.\d{4}, divergence \d+\.\d{4} on 20 clips", evaluated.out)
    assert "scores.json" in evaluated.out
    assert [line.split()[1] for line in next_commands(evaluated)] == ["inspect"]
    scores = json.loads(Path("scores.json").read_text())
    assert set(scores) == {
        "accuracy",
        "macro_f1",
        "agreement",
        "divergence",
        "clips",
        "answers",
        "mistakes",
        "per_class",
        "confusion",
        "labels",
        "missing",
        "run",
    }
    assert 0 <= scores["accuracy"] <= 1 and scores["clips"] == 20
    assert set(scores["per_class"]) == set(tones.CLASSES)

    for folder, command in (
        ("teacher", "train"),
        ("samples.run", "synthesize"),
        ("student", "distill"),
    ):
        record = read_record(folder)
        assert record["command"] == command and record["status"] == "finished"
        assert record["settings"]["seed"] == 0 and record["versions"]["torch"] == torch.__version__
        assert call("inspect", folder).code == 0
    assert scores["run"]["command"] == "evaluate"
    assert scores["run"]["fingerprint"] == frami.load("student").fingerprint
    teacher = frami.load("teacher").fingerprint
    assert scores["run"]["settings"]["teacher_fingerprint"] == teacher


def test_inspect_describes_a_store_and_a_bundle(call: Frami, artifacts: Path) -> None:
    store, bundle = (
        call("inspect", artifacts / "samples.h5"),
        call("inspect", artifacts / "teacher"),
    )
    assert store.code == bundle.code == 0
    assert frami.load(artifacts / "teacher").fingerprint in store.out and "rising" in bundle.out
    assert all(next_commands(result) for result in (store, bundle))


def test_inspect_with_out_writes_a_record(call: Frami, tmp_path: Path) -> None:
    # There is no picture of a bundle without recordings. The folder is new.
    assert call("inspect", "digits", "--out", tmp_path / "new").code == 0
    record = json.loads((tmp_path / "new" / "inspect.json").read_text())
    assert record["command"] == "inspect" and record["versions"] and record["settings"]["seed"] == 0


def test_distill_from_recordings_records_its_source_and_its_budget(
    call: Frami, artifacts: Path, tmp_path: Path
) -> None:
    words = [
        "distill",
        "--teacher",
        artifacts / "teacher",
        *TONES,
        "--recipe",
        "kd",
        "--budget",
        "dcase2023",
        *TRAINING,
    ]
    distilled = call(*words, "--out", tmp_path / "student")
    assert distilled.code == 0 and "is in" in distilled.out
    assert re.search("Within the budget dcase2023: .* of 128,000", distilled.out)
    assert read_record(tmp_path / "student")["settings"]["source"] == {
        "dataset": "tones",
        "test_fold": "0",
    }
    assert "agreement" not in distilled.out
    proposed = f"--teacher {artifacts / 'teacher'} --dataset tones --test-fold 0"
    assert next_commands(distilled)[-1].endswith(proposed)


def test_evaluate_without_json_writes_scores_to_runs(
    call: Frami, artifacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("evaluate", artifacts / "teacher", *TONES).code == 0
    assert len(list(Path("runs").glob("evaluate-*.json"))) == 1


@pytest.mark.parametrize(
    "words, expected",
    [
        ("synthesize", "contrast = 0.05   weight of the feature-invariant contrast"),
        ("synthesize --method cmi", "bank = "),
        ("distill --recipe embedding", "cross_entropy = 1.0   weight"),
        ("distill --recipe embedding --samples any", "cross_entropy = 0.0   weight"),
        ("train", "learning_rate = "),
        ("soundscapes", "tempo = 0.2   maximum relative change of tempo [0 to 0.5]"),
    ],
)
def test_list_settings_shows_settings_and_needs_no_other_option(
    words: str, expected: str, call: Frami
) -> None:
    result = call(*words.split(), "--list-settings")
    assert result.code == 0 and expected in result.out, result
    assert call("synthesize", "--teacher", "any").code == 2


def without_batch_norms(teacher: Model) -> Model:
    """Replace every batch norm of a teacher by the identity."""
    for layer in list(teacher.network.modules()):
        for name, child in layer.named_children():
            if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d)):
                setattr(layer, name, nn.Identity())
    return teacher


def test_synthesize_from_a_teacher_without_batch_norm_uses_the_other_losses(
    teacher: Model, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"samples": 8, "batch_size": 8, "options": FAST}
    frami.synthesize(teacher, tmp_path / "with.h5", **options).close()
    with frami.synthesize(
        without_batch_norms(teacher), tmp_path / "without.h5", **options
    ) as store:
        assert len(store) == 8
        assert bool((store.column("losses")[:, store.loss_names.index("batch_norm")] == 0).all())
    assert read_record(tmp_path / "with.run")["active_losses"] == [
        "class_prior",
        "batch_norm",
        "adversary",
        "contrast",
    ]
    assert read_record(tmp_path / "without.run")["active_losses"] == [
        "patch_entropy",
        "input_statistics",
        "class_prior",
        "adversary",
        "contrast",
    ]
    no_weights = {"class_prior": 0.0, "total_variation": 0.0, "weak_priors": "off"}
    with pytest.raises(UsageError, match="no other loss has a weight"):
        frami.synthesize(
            teacher, tmp_path / "none.h5", samples=8, method="deepinversion", options=no_weights
        )


def test_synthesize_warns_of_a_teacher_without_batch_norm_and_names_the_losses_left(
    call: Frami, front_end: FrontEnd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "load", lambda name: without_batch_norms(make_teacher(front_end)))
    words = ["--teacher", "any", "--samples", "8", "--out", tmp_path / "samples.h5"]
    result = call("synthesize", *words, *INVERSION)
    assert result.code == 0 and "This teacher has no batch norm" in result.err
    remaining = "patch entropy, input statistics, class prior, adversary, contrast"
    assert f"Remaining losses: {remaining}." in result.err
    assert "Active priors, with their weights: patch entropy 0.5, input statistics 1" in result.out


def test_synthesize_with_image_views_warns(call: Frami, bundle: Path, tmp_path: Path) -> None:
    words = ["--teacher", bundle, "--samples", "4", "--batch-size", "4"]
    words += ["--method", "fastmeta", "--set", "steps=1"]
    warned = call("synthesize", *words, "--set", "views=image", "--out", tmp_path / "samples.h5")
    assert warned.code == 0 and "reverses clips in time" in warned.err
    refused = call("synthesize", *words, "--set", "views=images", "--out", tmp_path / "other.h5")
    assert refused.code == 2 and "image" in refused.err and not (tmp_path / "other.h5").exists()


def test_environment_without_git_has_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert environment()["commit"] == ""
