"""The training loop of every network: on labels or on a teacher, on recordings or on a store."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from frami.core import seeds
from frami.core.errors import OperationError
from frami.core.extension import current_steps
from frami.core.progress import ProgressCallback, silent
from frami.core.run import Run
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.core.settings import setting
from frami.core.text import count
from frami.data.clips import Clips, infinite_batches
from frami.data.read_ahead import read_ahead
from frami.models import tasks
from frami.models.model import Model, load
from frami.models.network import Output, frozen
from frami.training import augment
from frami.training.optimizer import make_optimizer, make_schedule
from frami.training.recipes import Recipe
from frami.training.student import ProjectedStudent, make_ema_student, project_student

LOG_EVERY = 20


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(augment.AugmentSettings):
    """Settings of the training loop, with those of the augmentation."""

    steps: int = setting(2000, "number of steps", low=1)
    batch_size: int = setting(64, "clips per step", low=2)
    learning_rate: float = setting(
        3e-3, "peak learning rate; it rises and falls to 0 along cosines", low=0
    )
    weight_decay: float = setting(0.05, "weight decay of AdamW", low=0)
    warmup: float = setting(
        0.1, "share of the steps in which the learning rate rises", low=0, high=1
    )


def fit(
    student: Model,
    clips: Clips,
    recipe: Recipe,
    settings: TrainingSettings,
    runtime: Runtime,
    *,
    teacher: Model | None = None,
    bands: Sequence[int] = (),
    seed: int = 0,
    run: Run | None = None,
    report: ProgressCallback = silent,
) -> Model:
    """Train ``student`` in place and return it in eval mode, with the weights of the last step.

    Args:
        student: The model to train. For a recipe that reuses the teacher's head, it has that head.
        clips: The training clips.
        recipe: The losses and their weights.
        settings: Settings of the loop.
        runtime: The device and precision to train with.
        teacher: The model to match. A recipe that uses labels alone needs none. It is left as it
            was.
        bands: Number of bands of each front end that the clips stack, the student's first. By
            default the clips have the student's bands alone.
        seed: Seed of the order of the clips, their augmentation and the projections.
        run: The run that stores the losses and the state for resuming.
        report: Called with the number of finished steps.

    Raises:
        OperationError: The loss is not finite.
    """
    with seeds.seeded(seed, Stream.PROJECTION):
        projected = project_student(student, teacher, recipe, bands or [student.front_end.n_mels])
    runtime.place(projected)
    projected.requires_grad_(True).train()
    steps = current_steps(run.content, settings.steps) if run else (0, settings.steps)
    trainer = _Trainer(projected, recipe, settings, steps, runtime, seed)
    with ExitStack() as stack:
        network = None
        if teacher is not None:
            network = stack.enter_context(runtime.placed(teacher.network))
            stack.enter_context(frozen(network))
        trainer.run(clips, network, run, report)
    student.network.eval().requires_grad_(False)
    return student


class _Trainer:
    """A student in training, with everything that its next step depends on.

    Attributes:
        student: The projected student, in training mode.
        ema_student: The moving average of the student; None if the recipe does not compare with it.
        optimizer: AdamW.
        first: Step that this work starts after: 0, unless it extends a run.
        schedule: The learning rate over the steps of this work.
    """

    def __init__(
        self,
        student: ProjectedStudent,
        recipe: Recipe,
        settings: TrainingSettings,
        steps: tuple[int, int],
        runtime: Runtime,
        seed: int,
    ) -> None:
        self.student, self.recipe, self.settings = student, recipe, settings
        self.runtime, self.seed = runtime, seed
        self.first, self.last = steps[0], sum(steps)
        self.optimizer = make_optimizer(student, settings.learning_rate, settings.weight_decay)
        self._restart_schedule()
        uses_average = any(loss.reference == "ema_student" for loss in recipe.losses.values())
        self.ema_student = make_ema_student(student) if uses_average else None

    def _restart_schedule(self) -> None:
        rates = self.settings.learning_rate, self.settings.warmup
        self.schedule = make_schedule(self.optimizer, *rates, self.last - self.first)

    def run(
        self,
        clips: Clips,
        teacher: nn.Module | None,
        run: Run | None,
        report: ProgressCallback,
    ) -> None:
        """Train from the last saved state to the last step."""
        start = self.resume(run) if run is not None else 0
        report(start - self.first)
        batches = infinite_batches(clips, self.settings.batch_size, self.seed, start)
        with read_ahead(batches) as ready:
            for step in range(start, self.last):
                mel, target = self.augment(*next(ready), step)
                losses = self.compute_losses(mel, target, teacher, step)
                weights = self.recipe.weights
                self.step(torch.stack([weights[name] * x for name, x in losses.items()]).sum())
                done = step + 1
                if done % LOG_EVERY == 0 or done == self.last:
                    self.record(losses, done, run, report)
        if run is not None:
            run.content["seconds_waiting_for_clips"] = round(ready.seconds_waiting, 3)

    def record(
        self, losses: Mapping[str, Tensor], done: int, run: Run | None, report: ProgressCallback
    ) -> None:
        """Report the losses of a step, and save the state after it."""
        values = _finite_values(losses, done)
        note = ", ".join(f"{name} {value:.3f}" for name, value in values.items())
        report(done - self.first, note)
        if run is None:
            return
        run.log(step=done, **values)
        total = self.last - self.first
        left = f"{self.last - done:,} of {count(total, 'step')}" if done < self.last else ""
        run.save(partial(self.state, done), always=not left, left=left)

    def augment(self, mel: Tensor, target: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Return a batch on the device, augmented for this step."""
        target = tasks.as_class_values(target, self.student.network.classes)
        return augment.augment(
            mel.to(self.runtime.device),
            target.to(self.runtime.device),
            self.settings,
            seeds.make_rng(self.seed, Stream.AUGMENTATION, step),
            bands=self.student.bands,
            labeled=bool(self.recipe.weights.get("cross_entropy")),
        )

    def compute_losses(
        self, mel: Tensor, target: Tensor, teacher: nn.Module | None, step: int
    ) -> dict[str, Tensor]:
        """Return the unweighted losses of a batch, by name."""
        references: dict[str, Output] = {}
        with seeds.seeded(self.seed, Stream.DROPOUT, step), self.runtime.autocast():
            student_out = self.student(mel)
            with torch.no_grad():
                if teacher is not None:
                    references["teacher"] = teacher(mel)
                if self.ema_student is not None:
                    references["ema_student"] = self.ema_student(mel)
        return {
            name: loss(references.get(loss.reference), student_out, target)
            for name, loss in self.recipe.losses.items()
        }

    def step(self, loss: Tensor) -> None:
        """Take one optimizer step on a loss."""
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.optimizer.step()
        self.schedule.step()
        if self.ema_student is not None:
            self.ema_student.update_parameters(self.student)

    def state(self, step: int) -> dict[str, Any]:
        """Return the state after ``step`` steps, to resume from."""
        return {
            "step": step,
            "student": self.student.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "ema_student": self.ema_student.state_dict() if self.ema_student is not None else None,
        }

    def resume(self, run: Run) -> int:
        """Load the last state of an interrupted or extended run; return its step.

        Without a state, an extension starts from the weights of the bundle.
        """
        state = run.state()
        step = int(state["step"]) if state else self.first
        run.rewind("step", step)
        if state is None and self.first:
            weights = load(run.folder, trust_code=True).network.state_dict()
            self.student.network.load_state_dict(weights)
        if state is None:
            return step
        self.student.load_state_dict(state["student"])
        self.optimizer.load_state_dict(state["optimizer"])
        if step > self.first:
            self.schedule.load_state_dict(state["schedule"])
        else:
            self._restart_schedule()
        if self.ema_student is not None:
            self.ema_student.load_state_dict(state["ema_student"])
        return step


def _finite_values(losses: Mapping[str, Tensor], step: int) -> dict[str, float]:
    """Return the losses as numbers; raise if any is not finite."""
    values = {name: float(loss.detach()) for name, loss in losses.items()}
    if not all(map(math.isfinite, values.values())):
        raise OperationError(
            f"The loss is not finite at step {step} ({values}). Lower the setting learning_rate."
        )
    return values
