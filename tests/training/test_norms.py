"""Batch norms in distillation: statistics of the batch, and statistics estimated afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import frami
from frami.core.errors import UsageError
from frami.core.run import read_record
from frami.core.runtime import Runtime
from frami.data.clips import infinite_batches
from frami.data.noise import NoiseClips
from frami.data.store import Store
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.models.network import frozen
from frami.training.norms import batch_statistics, reestimate_batch_norms

FAST: dict[str, Any] = {"steps": 2, "batch_size": 8}


def test_batch_statistics_equal_training_mode_and_change_no_buffer(teacher: Model) -> None:
    mel = 3 * torch.randn(8, teacher.front_end.n_mels, 16) + 1
    network, before = teacher.network, teacher.fingerprint
    stored = network(mel).logits
    with batch_statistics(network), frozen(network):
        of_batch = network(mel).logits
    assert teacher.fingerprint == before
    assert torch.equal(network(mel).logits, stored)
    expected = network.train()(mel).logits
    torch.testing.assert_close(of_batch, expected)
    assert not torch.allclose(of_batch, stored, atol=0.1)


def test_statistics_are_put_back_after_an_error(teacher: Model) -> None:
    before = teacher.fingerprint
    with pytest.raises(KeyboardInterrupt), batch_statistics(teacher.network):
        raise KeyboardInterrupt
    assert teacher.fingerprint == before


def test_reestimated_statistics_are_the_means_over_the_clips(
    teacher: Model, store: Store, runtime: Runtime
) -> None:
    first = next(layer for layer in teacher.network.modules() if isinstance(layer, nn.BatchNorm2d))
    seen: list[torch.Tensor] = []
    hook = first.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    weights = [parameter.clone() for parameter in teacher.network.parameters()]
    reestimate_batch_norms(teacher, store, runtime, seed=0)
    hook.remove()
    expected = torch.stack([x.mean(dim=(0, 2, 3)) for x in seen]).mean(dim=0)
    assert first.running_mean is not None
    torch.testing.assert_close(first.running_mean, expected)
    assert not teacher.network.training and first.momentum == 0.1
    assert all(map(torch.equal, weights, teacher.network.parameters()))


def test_fresh_noise_is_standard_normal_and_never_repeats(front_end: frami.FrontEnd) -> None:
    clips = NoiseClips(64, front_end, (12, 24), seed=0)
    mels = [clips.mel(index) for index in range(64)]
    assert torch.equal(mels[3], NoiseClips(64, front_end, (12, 24), seed=0).mel(3))
    assert not torch.equal(mels[3], NoiseClips(64, front_end, (12, 24), seed=1).mel(3))
    values = torch.cat([mel.flatten() for mel in mels])
    assert float(values.mean()) == pytest.approx(0, abs=0.05)
    assert float(values.std()) == pytest.approx(1, abs=0.05)
    assert set(clips.n_frames) == set(range(12, 25))
    batches = infinite_batches(clips, 8, seed=0)
    drawn = np.concatenate([next(batches)[0][:, 0, 0].numpy() for _ in range(8)])
    assert len(np.unique(drawn)) > 55  # a few values are clipped or tiled alike


@pytest.mark.parametrize("task", ["single-label", "multi-label", "sound-events"])
def test_student_is_distilled_from_fresh_noise(
    task: str, front_end: frami.FrontEnd, tmp_path: Path
) -> None:
    architecture = Architecture("crnn", {"width": 4, "depth": 2, "embedding": 8})
    teacher = Model.build(architecture, front_end, ("a", "b", "c"), task, frame_range=(32, 32))
    teacher.network.eval().requires_grad_(False)
    before = teacher.fingerprint
    student = frami.distill(teacher, noise=True, out=tmp_path / "s", options=FAST)
    assert teacher.fingerprint == before
    assert student.provenance["source"]["method"] == "fresh noise"
    assert student.provenance["settings"]["teacher_norm"] == "batch"
    record = read_record(tmp_path / "s")
    assert record["settings"]["source"]["clips"] == 8 and not record["scores"].keys() - {
        "fingerprint"
    }


def test_defaults_leave_the_record_as_it_was(teacher: Model, store: Store, tmp_path: Path) -> None:
    frami.distill(teacher, samples=store, out=tmp_path / "s", options=FAST)
    assert not {"teacher_norm", "student_norm"} & set(
        read_record(tmp_path / "s")["settings"]["options"]
    )


@pytest.mark.parametrize("recipe", ["frami", "frami-head"])
def test_statistics_of_the_batch_change_the_student(
    recipe: str, teacher: Model, store: Store, tmp_path: Path
) -> None:
    students = {
        norm: frami.distill(
            teacher,
            samples=store,
            out=tmp_path / norm,
            recipe=recipe,
            options=FAST | {"teacher_norm": norm},
        )
        for norm in ("stored", "batch")
    }
    assert students["stored"].fingerprint != students["batch"].fingerprint


def test_wrong_use_is_refused(teacher: Model, store: Store, tmp_path: Path) -> None:
    out = tmp_path / "s"
    with pytest.raises(UsageError, match="Did you mean 'batch'"):
        frami.distill(teacher, samples=store, out=out, options={"teacher_norm": "bath"})
    with pytest.raises(UsageError, match="Give either `samples`"):
        frami.distill(teacher, samples=store, noise=True, out=out)
    with pytest.raises(UsageError, match="Noise has no labels"):
        frami.distill(teacher, noise=True, recipe="labels", out=out)
    for module in teacher.network.modules():
        for name, layer in module.named_children():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    with pytest.raises(UsageError, match="this teacher has no batch norm"):
        frami.distill(teacher, samples=store, out=out, options={"teacher_norm": "batch"})
