"""Shadow pipelines: invert a reference model, and distill a student from its store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from frami.auditing.pool import Pool
from frami.auditing.settings import AuditSettings
from frami.auditing.signals import Signal, read_signal
from frami.auditing.training import Trainer
from frami.core.progress import ProgressCallback, silent
from frami.data.store import Store
from frami.inversion.synthesize import synthesize
from frami.models.model import Model
from frami.prediction.loading import make_predictor
from frami.training.distill import distill

BATCH = 64


@dataclass(frozen=True)
class Pipeline:
    """The pipeline from a teacher to the losses of a student.

    Attributes:
        pool: The clips.
        settings: Settings of the audit.
        trainer: The runtime and the seed.
    """

    pool: Pool
    settings: AuditSettings
    trainer: Trainer

    def run(
        self, teacher: Model, folder: Path, number: int, report: ProgressCallback = silent
    ) -> Signal:
        """Invert a teacher, and return the losses of a student of its store.

        Args:
            teacher: The shadow teacher.
            folder: Folder for the store and the student.
            number: Number of the pipeline; it selects the random numbers.
            report: Called with the number of finished steps of the student.
        """
        samples, trainer = self.settings.shadow_clips, self.trainer
        with synthesize(
            teacher,
            folder / "samples.h5",
            samples=samples,
            batch_size=min(BATCH, samples),
            method=self.settings.shadow_method,
            seed=trainer.seed + number,
            device=trainer.runtime.device,
            precision=trainer.runtime.precision,
            report=lambda done, note="": report(0, f"{done} of {samples} clips"),
        ) as store:
            return self.distill(teacher, store, folder, number, report)

    def distill(
        self,
        teacher: Model,
        store: Store,
        folder: Path,
        number: int,
        report: ProgressCallback = silent,
    ) -> Signal:
        """Return the losses of a student that is distilled from a store; see `run`."""
        # Like the teacher, the student answers whole clips: events are audited as tags.
        student = distill(
            teacher,
            samples=store,
            out=folder / "student",
            options={"steps": self.settings.shadow_steps},
            seed=self.trainer.seed + number,
            device=self.trainer.runtime.device,
            precision=self.trainer.runtime.precision,
            report=report,
        )
        predictor = make_predictor(student)
        return read_signal(predictor, self.pool.clips, self.settings, self.trainer.seed)
