"""The training loop: the moving average, resuming, and losses that are not finite."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from frami.audio.frontend import FrontEnd
from frami.core import run as run_module
from frami.core.errors import OperationError
from frami.core.run import Run, read_metrics
from frami.core.runtime import Runtime
from frami.data.clips import Spectrograms
from frami.data.store import Store, train_holdout_split
from frami.inversion.synthesize import synthesize
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.models.network import Output
from frami.training import augment, loop, losses
from frami.training.losses import Loss, logits_loss
from frami.training.recipes import find_recipe
from tests.conftest import make_teacher


def test_fit_ema_loss_compares_with_moving_average(
    teacher: Model, store: Store, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips, student = train_holdout_split(store)[0], make_teacher(teacher.front_end, "small")
    recipe = find_recipe("dual", {"ema_student": 1.0, "logits": 0.0, "hidden": 0.0})
    networks = [copy.deepcopy(student.network)]
    average_logits: list[Tensor] = []
    batches: list[tuple[Tensor, Tensor]] = []
    step, augment_batch = loop._Trainer.step, augment.augment

    def record_network(trainer: loop._Trainer, loss: Tensor) -> None:
        step(trainer, loss)
        networks.append(copy.deepcopy(trainer.student.network))

    def record_reference(reference: Output, student_out: Output, target: Tensor) -> Tensor:
        average_logits.append(reference.logits.clone())
        return logits_loss(reference, student_out, target)

    def record_batch(*arguments: Any, **options: Any) -> tuple[Tensor, Tensor]:
        batches.append(augment_batch(*arguments, **options))
        return batches[-1]

    monkeypatch.setattr(loop._Trainer, "step", record_network)
    ema_loss = Loss(record_reference, reference="ema_student")
    monkeypatch.setattr(losses, "LOSSES", {**losses.LOSSES, "ema_student": ema_loss})
    monkeypatch.setattr(augment, "augment", record_batch)
    settings = loop.TrainingSettings(steps=3, batch_size=8)
    loop.fit(student, clips, recipe, settings, runtime, teacher=teacher)
    average = copy.deepcopy(networks[0])
    for index, (mel, _) in enumerate(batches):
        if index:
            for mean, now in zip(average.parameters(), networks[index].parameters(), strict=True):
                mean.data = 0.99 * mean.data + 0.01 * now.data
        with torch.no_grad():
            torch.testing.assert_close(
                average.train()(mel).logits, average_logits[index], rtol=1e-4, atol=1e-5
            )
    assert len(average_logits) == 3


def test_fit_resumed_equals_uninterrupted(
    teacher: Model,
    store: Store,
    runtime: Runtime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    one_thread: None,
) -> None:
    monkeypatch.setattr(run_module, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    monkeypatch.setattr(loop, "LOG_EVERY", 2)
    clips = train_holdout_split(store)[0]
    settings = loop.TrainingSettings(steps=7, batch_size=8)

    class Interrupted(Exception):
        pass

    def stop_at_four(done: int, note: str = "") -> None:
        if done == 4:
            raise Interrupted

    def train(folder: str, **options: Any) -> str:
        student = make_teacher(teacher.front_end, "small")
        with Run(tmp_path / folder, "distill", {}) as run:
            loop.fit(
                student,
                clips,
                find_recipe("dual"),
                settings,
                runtime,
                teacher=teacher,
                run=run,
                **options,
            )
        return student.fingerprint

    with pytest.raises(Interrupted):
        train("resumed", report=stop_at_four)
    assert train("resumed") == train("whole")
    assert read_metrics(tmp_path / "resumed") == read_metrics(tmp_path / "whole")


def test_fit_loss_not_finite_raises(teacher: Model, front_end: FrontEnd, runtime: Runtime) -> None:
    mels = [torch.full((front_end.n_mels, 16), torch.inf)] * 8
    clips = Spectrograms(mels, np.full(8, 16), np.zeros(8, dtype=np.int64))
    settings = loop.TrainingSettings(steps=1, batch_size=8)
    with pytest.raises(OperationError, match="The loss is not finite at step 1 .*learning_rate"):
        loop.fit(teacher, clips, find_recipe("labels"), settings, runtime)


def test_fit_stored_event_targets_give_cross_entropy(
    front_end: FrontEnd, runtime: Runtime, tmp_path: Path
) -> None:
    architecture = Architecture("dscnn", {"width": 4})
    model = Model.build(
        architecture, front_end, ("a", "b"), task="sound-events", frame_range=(16, 16)
    )
    model.network.eval()
    with synthesize(
        model,
        tmp_path / "samples.h5",
        samples=9,
        batch_size=9,
        method="noise",
        precision="float32",
    ) as store:
        clips = train_holdout_split(store)[0]
        logits = (
            copy.deepcopy(model.network)
            .train()(torch.stack([clips.mel(index) for index in range(8)]))
            .task_logits
        )
        targets = torch.stack([clips.target(index) for index in range(8)])
        expected = model.network.task.cross_entropy(logits, targets)
        settings = loop.TrainingSettings(
            steps=1,
            batch_size=8,
            roll=False,
            gain=0.0,
            band_mask=0.0,
            time_mask=0.0,
            splice=0.0,
            mixup=0.0,
        )
        weights = {"logits": 0.0, "hidden": 0.0, "stats": 0.0, "cross_entropy": 1.0}
        run = Run(tmp_path / "run", "distill", {})
        loop.fit(model, clips, find_recipe("frami", weights), settings, runtime, run=run)
    logged = read_metrics(tmp_path / "run")[-1]
    assert logged["cross_entropy"] == pytest.approx(expected.item(), rel=1e-4)
