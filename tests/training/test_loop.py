"""The training loop: the moving average, resuming, and losses that are not finite."""

from __future__ import annotations

import copy
from collections.abc import Callable
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
from frami.core.warn import FramiWarning
from frami.data.clips import Spectrograms
from frami.data.store import Store, train_holdout_split
from frami.inversion.synthesize import synthesize
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.models.network import Output
from frami.training import augment, echoes, loop, losses, trainer
from frami.training.losses import Loss, logits_loss
from frami.training.recipes import find_recipe
from frami.training.trainer import Trainer
from tests.conftest import last_layer, make_teacher


def test_fit_ema_loss_compares_with_moving_average(
    teacher: Model, store: Store, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips, student = train_holdout_split(store)[0], make_teacher(teacher.front_end, "small")
    recipe = find_recipe("dual", {"ema_student": 1.0, "logits": 0.0, "hidden": 0.0})
    networks = [copy.deepcopy(student.network)]
    average_logits: list[Tensor] = []
    batches: list[tuple[Tensor, Tensor]] = []
    step, augment_batch = Trainer.step, augment.augment

    def record_network(one: Trainer, loss: Tensor) -> None:
        step(one, loss)
        networks.append(copy.deepcopy(one.student.network))

    def record_reference(reference: Output, student_out: Output, target: Tensor) -> Tensor:
        average_logits.append(reference.logits.clone())
        return logits_loss(reference, student_out, target)

    def record_batch(*arguments: Any, **options: Any) -> tuple[Tensor, Tensor]:
        batches.append(augment_batch(*arguments, **options))
        return batches[-1]

    monkeypatch.setattr(Trainer, "step", record_network)
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


@pytest.mark.parametrize("echo", [1, 2, 3])
def test_fit_resumed_equals_uninterrupted(
    echo: int,
    teacher: Model,
    store: Store,
    runtime: Runtime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    one_thread: None,
) -> None:
    monkeypatch.setattr(run_module, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    monkeypatch.setattr(trainer, "LOG_EVERY", 2)
    monkeypatch.setattr(echoes, "HELD", 2)
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
                echo=echo,
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
    with pytest.raises(OperationError, match="cross_entropy is nan at step 1 .*: the clips of"):
        loop.fit(teacher, clips, find_recipe("labels"), settings, runtime)


@pytest.fixture
def diverge(monkeypatch: pytest.MonkeyPatch) -> Callable[[set[int]], None]:
    """Return a function that makes the update of some steps infinite, when they are first made."""

    def set_steps(steps: set[int]) -> None:
        left, step = set(steps), Trainer.step

        def spoil(one: Trainer, loss: Tensor) -> None:
            count = one.schedule.last_epoch
            factor = torch.inf if count in left else 1.0
            left.discard(count)
            step(one, loss * factor)

        monkeypatch.setattr(Trainer, "step", spoil)

    return set_steps


def test_fit_steps_back_once_with_a_smaller_step(
    teacher: Model,
    store: Store,
    runtime: Runtime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    diverge: Callable[[set[int]], None],
) -> None:
    monkeypatch.setattr(trainer, "LOG_EVERY", 2)
    clips, settings = train_holdout_split(store)[0], loop.TrainingSettings(steps=8, batch_size=8)
    recipe, rates = find_recipe("kd"), []

    def train(folder: str) -> Model:
        student = make_teacher(teacher.front_end, "small")

        def note(done: int, text: str = "") -> None:
            rates.append(done)

        with Run(tmp_path / folder, "distill", {}) as run:
            options: dict[str, Any] = {"teacher": teacher, "run": run, "report": note}
            return loop.fit(student, clips, recipe, settings, runtime, **options)

    diverge({5})
    with pytest.warns(FramiWarning, match="at step 6 .*went back to step 4, and on with a tenth"):
        student = train("once")
    assert all(bool(p.isfinite().all()) for p in student.network.parameters())
    assert [row["step"] for row in read_metrics(tmp_path / "once")] == [2, 4, 6, 8]
    state = Run(tmp_path / "once", "distill", {}).state()
    assert state is not None and len(state["setbacks"]) == 1
    assert state["optimizer"]["param_groups"][0]["max_lr"] == pytest.approx(3e-4)
    diverge({1, 5})
    with (
        pytest.warns(FramiWarning, match="went back to step 0"),
        pytest.raises(OperationError, match="at step 6 .*for the second time. Lower the setting"),
    ):
        train("twice")


def test_fit_after_a_step_back_resumes_to_the_bit(
    teacher: Model,
    store: Store,
    runtime: Runtime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    diverge: Callable[[set[int]], None],
    one_thread: None,
) -> None:
    monkeypatch.setattr(run_module, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    monkeypatch.setattr(trainer, "LOG_EVERY", 2)
    clips, settings = train_holdout_split(store)[0], loop.TrainingSettings(steps=8, batch_size=8)

    def stop_at_six(done: int, note: str = "") -> None:
        if done == 6:
            raise KeyboardInterrupt

    def train(folder: str, **options: Any) -> str:
        student = make_teacher(teacher.front_end, "small")
        with Run(tmp_path / folder, "distill", {}) as run:
            options |= {"teacher": teacher, "run": run}
            loop.fit(student, clips, find_recipe("kd"), settings, runtime, **options)
        return student.fingerprint

    diverge({3})
    with pytest.warns(FramiWarning, match="went back to step 2"), pytest.raises(KeyboardInterrupt):
        train("resumed", report=stop_at_six)
    resumed = train("resumed")
    diverge({3})
    with pytest.warns(FramiWarning, match="went back to step 2"):
        assert resumed == train("whole")


def test_fit_names_the_teacher_whose_answer_is_not_finite(
    teacher: Model, front_end: FrontEnd, runtime: Runtime
) -> None:
    clips = Spectrograms(
        [torch.randn(front_end.n_mels, 16)] * 8, np.full(8, 16), np.zeros(8, dtype=np.int64)
    )
    with torch.no_grad():
        last_layer(teacher).weight.fill_(torch.inf)
    settings = loop.TrainingSettings(steps=1, batch_size=8)
    student = make_teacher(front_end, "small")
    with pytest.raises(OperationError, match="3 of 3 classes .*output of 'head.classifier'"):
        loop.fit(student, clips, find_recipe("kd"), settings, runtime, teacher=teacher)


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
