"""Train models of a teacher's kind on clips in memory: references, shadows and canaries."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from frami.auditing.own_training import train_with
from frami.core import code
from frami.core.errors import UsageError
from frami.core.progress import ProgressCallback, silent
from frami.core.run import Run
from frami.core.runtime import Runtime
from frami.core.seeds import Stream, seeded
from frami.core.settings import make_settings
from frami.data.clips import Spectrograms
from frami.models.architecture import Architecture
from frami.models.foreign import ARCHITECTURE as ADOPTED
from frami.models.model import Model
from frami.training import loop
from frami.training.recipes import find_recipe
from frami.training.supervised import SupervisedSettings

SUBSTITUTE = "resnet"  # for a network of other code, which frami cannot train from scratch


@dataclass(frozen=True)
class Trainer:
    """How models like a teacher are trained.

    Attributes:
        teacher: The audited teacher.
        architecture: Its architecture, or a substitute.
        settings: Its settings of training, as far as they are known.
        task: Task of whole clips.
        runtime: Device and precision.
        seed: Seed of the audit.
        function: Reference of the function that trains (`frami.core.code`); empty: frami trains.
    """

    teacher: Model
    architecture: Architecture
    settings: SupervisedSettings
    task: str
    runtime: Runtime
    seed: int
    function: str = ""

    def train(
        self,
        clips: Spectrograms,
        folder: Path,
        number: int,
        report: ProgressCallback = silent,
        **identity: Any,
    ) -> Model:
        """Return a model trained on clips.

        An interrupted training is resumed; that of a function of the user's own is repeated. The
        weights are not written, except as the state of an interrupted training.

        Args:
            clips: The training clips.
            folder: Folder of the run.
            number: Number of the model within the audit; it selects the random numbers.
            report: Called with the number of finished steps.
            identity: Further settings that the result depends on.
        """
        with seeded(self.seed, Stream.AUDIT_TRAINING, number):
            model = Model.build(
                self.architecture,
                self.teacher.front_end,
                self.teacher.labels,
                self.task,
                frame_range=self.teacher.frame_range,
            )
        own_seed = self.seed + 1000 * (number + 1)
        if self.function:
            return train_with(self.function, model, clips, own_seed)
        config = {
            **identity,
            "number": number,
            "seed": self.seed,
            "clips": len(clips.targets),
            "network": self.architecture.network,
            "arguments": dict(self.architecture.arguments),
            "options": asdict(self.settings),
            "precision": self.runtime.precision,
        }
        with Run(folder, "audit training", config, keeps_state=True) as run:
            loop.fit(
                model,
                clips,
                find_recipe("labels"),
                self.settings,
                self.runtime,
                seed=own_seed,
                run=run,
                report=report,
            )
        return model


def make_trainer(
    teacher: Model, task: str, steps: int, runtime: Runtime, seed: int, function: str | None = None
) -> tuple[Trainer, str]:
    """Return how models like a teacher are trained, and a sentence on what is not known.

    Args:
        teacher: The teacher.
        task: Task of whole clips.
        steps: Training steps; 0 for the teacher's.
        runtime: Device and precision.
        seed: Seed of the audit.
        function: Entry point of a function that trains instead (`own_training`).
    """
    known = {field.name for field in fields(SupervisedSettings)}
    recorded = teacher.provenance.get("settings")
    values = {k: v for k, v in recorded.items() if k in known} if isinstance(recorded, dict) else {}
    note = ""
    try:
        settings = make_settings(SupervisedSettings, values)
    except UsageError:
        values, settings = {}, SupervisedSettings()
    if not values:
        note = (
            "The settings of the teacher's training are not known; reference models use the "
            "defaults of frami train."
        )
    if steps:
        settings = make_settings(SupervisedSettings, {**asdict(settings), "steps": steps})
    architecture = teacher.architecture
    if architecture.network == ADOPTED:
        architecture = Architecture(SUBSTITUTE)
        note = (
            f"Reference models are a {SUBSTITUTE} of frami, because the teacher's network is of "
            f"other code. They predict its losses less well, so the attacks are weaker."
        )
    reference = ""
    if function:
        note = f"Reference models are trained by {function}."
        reference = str(code.load_entry_point(function))
    return Trainer(teacher, architecture, settings, task, runtime, seed, reference), note


def halves(groups: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    """Return the training clips of reference models, ``(number, S)`` bool.

    The models form pairs: the second takes the clips that the first does not. So each clip is in
    half of the models. A group is never divided.
    """
    names, counts = np.unique(groups, return_counts=True)
    rows = []
    for _ in range(number // 2):
        order = rng.permutation(len(names))
        sizes = counts[order]
        chosen = names[order[np.cumsum(sizes) - sizes / 2 <= len(groups) / 2]]
        row = np.isin(groups, chosen)
        rows += [row, ~row]
    return np.array(rows, dtype=bool).reshape(-1, len(groups))
