"""The training loop of every network: on labels or on a teacher, on recordings or on a store."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import torch

from frami.core import seeds
from frami.core.extension import current_steps
from frami.core.progress import ProgressCallback, silent
from frami.core.run import Run
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.data.clips import Clips
from frami.models.answers import check_answers
from frami.models.model import Model
from frami.models.network import frozen
from frami.training.loop_settings import TrainingSettings as TrainingSettings
from frami.training.recipes import Recipe
from frami.training.student import project_student
from frami.training.trainer import Trainer

CHECKED_CLIPS = 8


def fit(
    student: Model,
    clips: Clips,
    recipe: Recipe,
    settings: TrainingSettings,
    runtime: Runtime,
    *,
    teacher: Model | None = None,
    bands: Sequence[int] = (),
    echo: int = 1,
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
        echo: Number of steps for each batch that the teacher answers.
        seed: Seed of the order of the clips, their augmentation and the projections.
        run: The run that stores the losses and the state for resuming.
        report: Called with the number of finished steps.

    Raises:
        OperationError: The teacher's answers are wrong, or the loss is not finite twice.
    """
    with seeds.seeded(seed, Stream.PROJECTION):
        projected = project_student(student, teacher, recipe, bands or [student.front_end.n_mels])
    runtime.place(projected)
    projected.requires_grad_(True).train()
    steps = current_steps(run.content, settings.steps) if run else (0, settings.steps)
    echo = echo if teacher is not None else 1
    trainer = Trainer(projected, recipe, settings, steps, runtime, seed, echo)
    with ExitStack() as stack:
        network = None
        if teacher is not None:
            network = stack.enter_context(runtime.placed(teacher.network))
            stack.enter_context(frozen(network))
            shape = CHECKED_CLIPS, sum(projected.bands), int(clips.n_frames.min())
            noise = torch.randn(shape, generator=seeds.make_rng(seed, Stream.ANSWER_CHECK))
            check_answers(network, noise.to(runtime.device))
        trainer.run(clips, network, run, report)
    student.network.eval().requires_grad_(False)
    return student
