"""The one loop that trains a network: on labels, or on what a teacher says; on recordings, or on a store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from frami.core import seeds
from frami.core.errors import OperationError
from frami.core.progress import ProgressCallback, silent
from frami.core.run import Run
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.core.settings import setting
from frami.data.clips import Clips, infinite_batches
from frami.models import tasks
from frami.models.model import Model
from frami.models.network import frozen
from frami.training import augment, losses
from frami.training.recipes import Recipe
from frami.training.student import EMAStudent, ProjectedStudent

LOG_EVERY = 20


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How a network is trained."""

    steps: int = setting(2000, "number of steps", low=1)
    batch_size: int = setting(64, "clips a step", low=2)
    learning_rate: float = setting(
        3e-3, "peak of the schedule: a rise and a fall to 0, cosines", low=0
    )
    weight_decay: float = setting(0.05, "AdamW's weight decay", low=0)
    warmup: float = setting(
        0.1, "part of the steps in which the learning rate rises", low=0, high=1
    )
    roll: bool = setting(True, "rotate each clip in time by any number of frames")
    max_frames: int = setting(
        64, "most frames of a clip that are heard in a step; all of them where labels count", low=1
    )
    gain: float = setting(
        0.2, "make each clip louder or softer by up to this, in standard deviations", low=0
    )
    band_mask: float = setting(0.2, "mask up to this part of the mel bands", low=0, high=1)
    time_mask: float = setting(
        0.2, "mask up to this part of the frames; none where labels of frames count", low=0, high=1
    )
    splice: float = setting(
        0.5,
        "part of the clips with a stretch of another one in them; none where labels of clips count",
        low=0,
        high=1,
    )
    mixup: float = setting(0.5, "part of the clips that are mixed with another", low=0, high=1)


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
    """Train ``student`` in place and return it, in eval mode; its weights are those of the last step.

    Args:
        student: The model to train. Where the recipe reuses the teacher's head, that replaces its own.
        clips: What it is trained on.
        recipe: What it is asked to match.
        settings: How.
        machine: Where.
        teacher: Whom it is asked to match; not needed for labels alone. It is left as it was.
        bands: Of each front end that the clips hold, one above the other; by default the student's alone.
        seed: Of the order of the clips, their alterations and the projection.
        run: Where losses and the state to go on from are kept.
        report: Called with the number of finished steps.

    Raises:
        Failed: the loss is no longer a number.
    """
    hidden = any(recipe.weights.get(name) for name in ("hidden", "stats"))
    embedded = bool(recipe.weights.get("embedding"))
    with seeds.seeded(seed, Stream.PROJECTION):
        channels = (
            teacher.network.channels
            if teacher is not None and hidden and not recipe.reuse_head
            else None
        )
        size = teacher.network.embedding if teacher is not None and embedded else None
        learner = ProjectedStudent(
            student.network, bands or [student.front_end.n_mels], channels, size
        )
    runtime.place(learner)
    learner.requires_grad_(True).train()
    if teacher is not None and recipe.reuse_head:
        student.network.head.load_state_dict(teacher.network.head.state_dict())
    with ExitStack() as stack:
        guide = None
        if teacher is not None:
            guide = stack.enter_context(
                frozen(stack.enter_context(runtime.placed(teacher.network)))
            )
        _run_steps(learner, guide, clips, recipe, settings, runtime, seed, run, report)
    student.network.eval().requires_grad_(False)
    return student


def _run_steps(
    learner: ProjectedStudent,
    guide: nn.Module | None,
    clips: Clips,
    recipe: Recipe,
    settings: TrainingSettings,
    runtime: Runtime,
    seed: int,
    run: Run | None,
    report: ProgressCallback,
) -> None:
    learning = _TrainingState(learner, settings, with_mean=bool(recipe.weights.get("ema_student")))
    start = learning.go_on(run)
    report(start)
    labelled = bool(recipe.weights.get("cross_entropy"))
    batches = infinite_batches(clips, settings.batch_size, seed, start)
    for step in range(start, settings.steps):
        mel, target = next(batches)
        target = tasks.as_class_values(target, learner.network.classes)
        rng = seeds.make_rng(seed, Stream.AUGMENTATION, step)
        mel, target = augment.augment(
            mel.to(runtime.device),
            target.to(runtime.device),
            settings,
            rng,
            bands=learner.bands,
            labelled=labelled,
        )
        with seeds.seeded(seed, Stream.DROPOUT, step), runtime.autocast():
            said = learner(mel)
            with torch.no_grad():
                told = guide(mel) if guide is not None else None
            mean = learning.mean(mel) if learning.mean is not None else None
        parts = {
            n: losses.LOSSES[n](told, said, target)
            for n, w in recipe.weights.items()
            if w and n != "ema_student"
        }
        if mean is not None:
            parts["ema_student"] = losses.logits_loss(mean, said, target)
        learning.step(
            torch.stack([recipe.weights[name] * part for name, part in parts.items()]).sum()
        )
        if (step + 1) % LOG_EVERY == 0 or step + 1 == settings.steps:
            _log_step(run, report, step + 1, parts, partial(learning.state, step + 1))


def _log_step(
    run: Run | None,
    report: ProgressCallback,
    step: int,
    parts: dict[str, Tensor],
    state: Callable[[], dict[str, Any]],
) -> None:
    values = {name: float(part.detach()) for name, part in parts.items()}
    if not all(value == value and abs(value) != float("inf") for value in values.values()):
        raise OperationError(
            f"The loss is no longer a number at step {step} ({values}); lower learning_rate."
        )
    report(step, ", ".join(f"{name} {value:.3f}" for name, value in values.items()))
    if run is not None:
        run.log(step=step, **values)
        run.save(state)


class _TrainingState:
    """A network in training, with all that its next step depends on."""

    def __init__(self, learner: nn.Module, settings: TrainingSettings, *, with_mean: bool) -> None:
        self.learner = learner
        # Decay pulls weights of matrices and kernels to zero; scales and biases are no part of what it is meant for.
        moved = list(learner.parameters())
        groups = [
            {"params": [p for p in moved if p.dim() > 1], "weight_decay": settings.weight_decay},
            {"params": [p for p in moved if p.dim() <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            settings.learning_rate,
            total_steps=settings.steps + 1,
            pct_start=float(max(settings.warmup, 1 / settings.steps)),
            cycle_momentum=False,
        )
        self.mean = EMAStudent(learner) if with_mean else None

    def step(self, loss: Tensor) -> None:
        """Go one step down a loss."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        if self.mean is not None:
            self.mean.update(self.learner)

    def state(self, step: int) -> dict[str, Any]:
        """Return what to go on from after ``step`` steps."""
        return {
            "step": step,
            "learner": self.learner.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "mean": self.mean.network.state_dict() if self.mean is not None else None,
        }

    def go_on(self, run: Run | None) -> int:
        """Load the state of a run that was cut off; return its step."""
        if run is None:
            return 0
        state = run.state()
        run.rewind("step", state["step"] if state else 0)
        if state is None:
            return 0
        self.learner.load_state_dict(state["learner"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if self.mean is not None:
            self.mean.network.load_state_dict(state["mean"])
        return state["step"]
