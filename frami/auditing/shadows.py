"""Shadow pipelines: a teacher of half of the pool is inverted, and its store is distilled."""

from __future__ import annotations

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


def shadow_signal(
    teacher: Model,
    pool: Pool,
    folder: Path,
    settings: AuditSettings,
    trainer: Trainer,
    number: int,
    report: ProgressCallback = silent,
) -> Signal:
    """Return the losses of a shadow student: the teacher's store, distilled.

    Args:
        teacher: The shadow teacher.
        pool: The clips.
        folder: Folder for the store and the student.
        settings: Settings of the audit.
        trainer: The runtime and the seed.
        number: Number of the pipeline.
        report: Called with the number of finished steps of the student.
    """
    with synthesize(
        teacher,
        folder / "samples.h5",
        samples=settings.shadow_clips,
        batch_size=min(BATCH, settings.shadow_clips),
        method=settings.shadow_method,
        seed=trainer.seed + number,
        device=trainer.runtime.device,
        precision=trainer.runtime.precision,
        report=lambda done, note="": report(0, f"{done} of {settings.shadow_clips} clips"),
    ) as store:
        return distilled_signal(teacher, store, pool, folder, settings, trainer, number, report)


def distilled_signal(
    teacher: Model,
    store: Store,
    pool: Pool,
    folder: Path,
    settings: AuditSettings,
    trainer: Trainer,
    number: int,
    report: ProgressCallback = silent,
) -> Signal:
    """Return the losses of a student that is distilled from a store as in a shadow pipeline."""
    # Like the teacher, the student answers whole clips: events are audited as tags.
    student = distill(
        teacher,
        samples=store,
        out=folder / "student",
        options={"steps": settings.shadow_steps},
        seed=trainer.seed + number,
        device=trainer.runtime.device,
        precision=trainer.runtime.precision,
        report=report,
    )
    return read_signal(make_predictor(student), pool.clips, settings, trainer.seed)
