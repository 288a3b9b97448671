"""A model through inversion, distillation and scoring."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.core.runtime import Runtime
from frami.data.store import Store
from frami.datasets import tones
from frami.evaluate.scores import score
from frami.inversion.synthesize import synthesize
from frami.models.architecture import Architecture
from frami.models.model import Model, load
from frami.training.distill import distill
from tests.conftest import FAST, last_layer, make_teacher
from tests.models.helpers import copy_weights, equal_weights


def test_synthesis_and_distillation_leave_the_teacher_unchanged(
    bundle: Path, tmp_path: Path
) -> None:
    teacher = load(bundle)
    before, content = copy_weights(teacher), (bundle / "weights.safetensors").read_bytes()
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
    assert equal_weights(copy_weights(teacher), before)
    assert (bundle / "weights.safetensors").read_bytes() == content
    assert not any(
        layer.training or layer._forward_pre_hooks for layer in teacher.network.modules()
    )
    assert not any(p.requires_grad or p.grad is not None for p in teacher.network.parameters())


@pytest.mark.parametrize("seed", [-1, None, 0.5])
def test_seed_of_any_integer_type_is_accepted(seed: Any, teacher: Model, tmp_path: Path) -> None:
    few: dict[str, Any] = {"samples": 4, "batch_size": 4, "method": "noise"}
    numpy_integers: dict[str, Any] = {
        "seed": np.int64(3),
        "frame_range": (np.int64(12), np.int64(16)),
    }
    synthesize(teacher, tmp_path / "a.h5", **few, **numpy_integers).close()
    with synthesize(teacher, tmp_path / "a.h5", **few, seed=3, frame_range=(12, 16)) as store:
        assert store.settings["seed"] == 3
    with pytest.raises(UsageError, match="an integer of 0 or more"):
        synthesize(teacher, tmp_path / "b.h5", **few, seed=seed)
    with pytest.raises(UsageError, match="an integer of 0 or more"):
        distill(teacher, samples=tmp_path / "a.h5", out=tmp_path / "student", seed=seed)
    numpy_integers = {"width": np.int64(4), "seed": np.int64(1)}
    out, options = tmp_path / "student", {"steps": 1}
    student = distill(teacher, samples=store, out=out, options=options, **numpy_integers)
    assert student.architecture.arguments["width"] == 4


@pytest.mark.parametrize(("rate", "kept"), [(0.0, True), (1e-2, False)])
def test_reused_head_starts_as_the_teachers_and_is_trained(
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


def test_synthesis_with_changed_teacher_does_not_resume_its_store(
    front_end: FrontEnd, tmp_path: Path
) -> None:
    teacher = make_teacher(front_end)
    few: dict[str, Any] = {"batch_size": 4, "options": FAST}
    synthesize(teacher, tmp_path / "samples.h5", samples=4, **few).close()
    with torch.no_grad():
        last_layer(teacher).weight.add_(1.0)
    with pytest.raises(UsageError, match="made with others|teacher"):
        synthesize(teacher, tmp_path / "samples.h5", samples=8, **few)


def test_score_does_not_move_a_network_in_inference_mode(
    front_end: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tensors that are moved to another device in inference mode cannot have gradients afterwards.
    inference_modes: list[bool] = []
    place = Runtime.place

    def recorded_place(runtime: Runtime, network: torch.nn.Module) -> torch.nn.Module:
        inference_modes.append(torch.is_inference_mode_enabled())
        return place(runtime, network)

    monkeypatch.setattr(Runtime, "place", recorded_place)
    monkeypatch.setattr(tones, "TEST_PER_CLASS", 1)
    model = Model.build(Architecture("small", {"width": 4}), front_end, tuple(tones.CLASSES))
    score(model, "tones", test_fold="0")
    assert inference_modes and not any(inference_modes)


def test_distillation_does_not_overwrite_a_bundle_without_a_record(
    bundle: Path, store: Store
) -> None:
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    with pytest.raises(UsageError, match="holds model.json, but no record of a run"):
        distill(bundle, out=bundle, samples=store, any_teacher=True)
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before


def test_distillation_from_a_store_of_another_teacher_is_refused(
    store: Store, teacher: Model, front_end: FrontEnd, tmp_path: Path
) -> None:
    with store, pytest.raises(UsageError, match="any.teacher"):
        distill(make_teacher(front_end, width=5), out=tmp_path / "student", samples=store)
    other = replace(teacher, front_end=replace(front_end, mean=-2.0))
    with pytest.raises(UsageError, match="another front end"):
        distill(other, out=tmp_path / "student", samples=store, any_teacher=True)
    assert not (tmp_path / "student").exists()
