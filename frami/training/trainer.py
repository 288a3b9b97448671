"""A student in training: its steps, its state, and the way back from a loss that is not finite."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from frami.core import processes, seeds
from frami.core.progress import ProgressCallback
from frami.core.run import Run
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.core.text import count
from frami.data.clips import Clips, infinite_batches
from frami.data.read_ahead import read_ahead
from frami.models import tasks
from frami.models.model import load
from frami.models.network import Output
from frami.training import augment, distributed
from frami.training.echoes import Answered, first_batch, with_echoes
from frami.training.loop_settings import TrainingSettings
from frami.training.optimizer import make_optimizer, make_schedule
from frami.training.recipes import Recipe
from frami.training.setbacks import NotFiniteError, Setbacks, check_inputs, finite_values
from frami.training.student import ProjectedStudent, make_ema_student

LOG_EVERY = 20


class Trainer:
    """A student in training, with everything that its next step depends on.

    Attributes:
        student: The projected student, in training mode.
        ema_student: The moving average of the student; None if the recipe does not compare with it.
        optimizer: AdamW.
        first: Step that this work starts after: 0, unless it extends a run.
        schedule: The learning rate over the steps of this work.
        setbacks: The last good state.
    """

    def __init__(
        self,
        student: ProjectedStudent,
        recipe: Recipe,
        settings: TrainingSettings,
        steps: tuple[int, int],
        runtime: Runtime,
        seed: int,
        echo: int = 1,
    ) -> None:
        self.student, self.recipe, self.settings = student, recipe, settings
        self.runtime, self.seed, self.echo = runtime, seed, echo
        self.first, self.last = steps[0], sum(steps)
        distributed.share_weights(student)
        self.optimizer = make_optimizer(student, settings.learning_rate, settings.weight_decay)
        self.setbacks = Setbacks()
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
        done = self.resume(run) if run is not None else 0
        report(done - self.first)
        while done < self.last:
            done = self._run_from(done, clips, teacher, run, report)

    def _run_from(
        self,
        start: int,
        clips: Clips,
        teacher: nn.Module | None,
        run: Run | None,
        report: ProgressCallback,
    ) -> int:
        """Train from a step on; return the last step, or the one that the training went back to."""
        self.setbacks.keep(self.state(start))
        first = first_batch(start, self.echo)
        batches = infinite_batches(clips, self.settings.batch_size, self.seed, first)
        with read_ahead(batches) as ready:
            answered = self._answer(ready, first, teacher)
            echoes = with_echoes(answered, start, self.echo, self.seed)
            for step, batch in zip(range(start, self.last), echoes, strict=False):
                losses = self.compute_losses(batch, step)
                weights = self.recipe.weights
                self.step(torch.stack([weights[name] * x for name, x in losses.items()]).sum())
                done = step + 1
                if done % LOG_EVERY and done != self.last:
                    continue
                try:
                    values = finite_values(losses, self.student)
                except NotFiniteError as error:
                    reason = f"{error} at step {done} (seed {self.seed})"
                    check_inputs(reason, teacher, batch.mel)
                    return self._step_back(reason, run)
                self.record(values, done, run, report)
        if run is not None:
            run.content["seconds_waiting_for_clips"] = round(ready.seconds_waiting, 3)
        return self.last

    def _step_back(self, reason: str, run: Run | None) -> int:
        """Return to the last good state; return its step."""
        done = self.setbacks.step_back(reason, self._load, self.optimizer)
        if run is not None:
            run.rewind("step", done)
        return done

    def record(
        self, values: Mapping[str, float], done: int, run: Run | None, report: ProgressCallback
    ) -> None:
        """Report the losses of a step, and save the state after it."""
        self.setbacks.keep(self.state(done))
        note = ", ".join(f"{name} {value:.3f}" for name, value in values.items())
        report(done - self.first, note)
        if run is None:
            return
        run.log(step=done, **values)
        total = self.last - self.first
        left = f"{self.last - done:,} of {count(total, 'step')}" if done < self.last else ""
        run.save(partial(self.state, done), always=not left, left=left)

    def _answer(
        self, batches: Iterator[tuple[Tensor, Tensor]], first: int, teacher: nn.Module | None
    ) -> Iterator[Answered]:
        """Yield the batches from ``first`` on, augmented, with what the teacher answers to them."""
        for index in itertools.count(first):
            mel, target = self.augment(*next(batches), index)
            yield self.answer(mel, target, teacher, index)

    def answer(
        self, mel: Tensor, target: Tensor, teacher: nn.Module | None, index: int
    ) -> Answered:
        """Return a batch with what the teacher answers to it.

        With several processes, the teacher runs on the own part of the batch alone.
        """
        output = None
        if teacher is not None:
            with torch.no_grad(), self._running(index):
                output = self._gather(teacher(distributed.own_part(mel)), len(mel))
        return Answered(mel, target, output)

    @contextmanager
    def _running(self, index: int) -> Iterator[None]:
        """Have networks run in the precision of the training, with random numbers by ``index``."""
        place = filter(None, [processes.rank()])  # numbers for dropout
        with (
            seeds.seeded(self.seed, Stream.DROPOUT, index, *place),
            self.runtime.autocast(),
            distributed.shared_batch_norms(),
        ):
            yield

    def _gather(self, output: Output, size: int) -> Output:
        uses_hidden = self.recipe.compares("hidden", "similarity")
        return distributed.gather(output, size, hidden=uses_hidden)

    def augment(self, mel: Tensor, target: Tensor, index: int) -> tuple[Tensor, Tensor]:
        """Return a batch on the device, augmented by its index."""
        target = tasks.as_class_values(target, self.student.network.classes)
        return augment.augment(
            mel.to(self.runtime.device),
            target.to(self.runtime.device),
            self.settings,
            seeds.make_rng(self.seed, Stream.AUGMENTATION, index),
            bands=self.student.bands,
            labeled=bool(self.recipe.weights.get("cross_entropy")),
        )

    def compute_losses(self, batch: Answered, step: int) -> dict[str, Tensor]:
        """Return the unweighted losses of a batch, by name.

        With several processes, the networks run on the own part of the batch alone.
        """
        references, own = {"teacher": batch.teacher}, distributed.own_part(batch.mel)
        with self._running(step):
            student_out = self._gather(self.student(own), len(batch.mel))
            if self.ema_student is not None:
                with torch.no_grad():
                    ema_out = self._gather(self.ema_student(own), len(batch.mel))
                references["ema_student"] = ema_out
        return {
            name: loss(references.get(loss.reference), student_out, batch.target)
            for name, loss in self.recipe.losses.items()
        }

    def step(self, loss: Tensor) -> None:
        """Take one optimizer step on a loss."""
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        distributed.share_gradients(self.student)
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
            **({"setbacks": self.setbacks.sentences} if self.setbacks.sentences else {}),
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
        self._load(state)
        if step == self.first:
            self._restart_schedule()
        self.setbacks.sentences = list(state.get("setbacks", []))
        return step

    def _load(self, state: Mapping[str, Any]) -> None:
        """Load a state of this training."""
        self.student.load_state_dict(state["student"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if self.ema_student is not None:
            self.ema_student.load_state_dict(state["ema_student"])
