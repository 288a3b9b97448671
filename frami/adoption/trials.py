"""Trials of sources of clips: a small store and a small student for each, in one folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from frami.adoption.sources import (
    BATCH_SIZE,
    CLIPS_PER_STEP,
    SOURCES,
    TEST_CLIPS,
    TESTS,
    Costs,
    RuntimeOptions,
    Source,
)
from frami.core.errors import OperationError
from frami.core.progress import ProgressCallback
from frami.core.run import is_finished, read_record
from frami.core.text import count
from frami.data.store import store_run_folder
from frami.inversion.synthesize import synthesize
from frami.models.model import Model
from frami.training.distill import distill


@dataclass(frozen=True)
class Trials:
    """The trials of one teacher, in one folder; finished work is not repeated.

    Attributes:
        teacher: The teacher.
        folder: Folder of stores and students.
        clips: Clips of each store.
        student: Name of the student's network.
        runtime: Seed, device and threads.
    """

    teacher: Model
    folder: Path
    clips: int
    student: str
    runtime: RuntimeOptions

    @property
    def steps(self) -> int:
        """Steps of each distillation."""
        return round(self.clips / CLIPS_PER_STEP)

    def store(self, source: Source, *, test: bool = False) -> Path:
        """Return the store of a source: the clips of its student, or its held-out clips."""
        return self.folder / f"{_file_name(source)}{'-test' if test else ''}.h5"

    def student_folder(self, source: Source) -> Path:
        """Return the folder of the student of a source."""
        return self.folder / f"student-{_file_name(source)}"

    def stages(self) -> list[Stage]:
        """Return the work in order: held-out clips, then the store and student of each source."""
        stages = [Stage(self, source, "test clips of {}") for source in TESTS]
        for source in SOURCES:
            stages += [Stage(self, source, "clips of {}")] if source.method else []
            stages.append(Stage(self, source, "student of {}"))
        return stages

    def make_store(self, source: Source, report: ProgressCallback, *, test: bool) -> None:
        """Make the clips of a source: those of its student, or the held-out ones."""
        assert source.method is not None
        runtime = self.runtime.copy()
        runtime["seed"] += test
        synthesize(
            self.teacher,
            self.store(source, test=test),
            samples=TEST_CLIPS if test else self.clips,
            method=source.method,
            mix=source.mix,
            options=source.options,
            batch_size=BATCH_SIZE,
            report=report,
            **runtime,
        ).close()

    def make_student(self, source: Source, report: ProgressCallback) -> None:
        """Distill the student of a source."""
        distill(
            self.teacher,
            samples=self.store(source) if source.method else None,
            noise=source.method is None,
            out=self.student_folder(source),
            student=self.student,
            options={"steps": self.steps},
            report=report,
            **self.runtime,
        )

    def costs(self) -> Costs:
        """Return the costs that the finished trials had."""
        clip = {
            source.name: _seconds(store_run_folder(self.store(source))) / self.clips
            if source.method
            else 0.0
            for source in SOURCES
        }
        steps = [_seconds(self.student_folder(source)) / self.steps for source in SOURCES]
        return Costs(clip, sum(steps) / len(steps))


@dataclass(frozen=True)
class Stage:
    """One piece of work of the trials, with its place on the progress bar.

    Attributes:
        trials: The trials that it belongs to.
        source: The source.
        kind: What is made, with ``{}`` for the name of the source.
    """

    trials: Trials
    source: Source
    kind: str

    @property
    def title(self) -> str:
        """What is made, in words."""
        return self.kind.format(self.source.name)

    @property
    def units(self) -> int:
        """Clips or steps."""
        if self.kind.startswith("student"):
            return self.trials.steps
        return TEST_CLIPS if self.kind.startswith("test") else self.trials.clips

    def seconds(self, costs: Costs) -> float:
        """Return the expected seconds."""
        each = costs.step if self.kind.startswith("student") else costs.clip[self.source.name]
        return max(self.units * each, 1e-3)

    def is_finished(self) -> bool:
        """Return whether an earlier call finished it."""
        if self.kind.startswith("student"):
            return is_finished(self.trials.student_folder(self.source))
        store = self.trials.store(self.source, test=self.kind.startswith("test"))
        return is_finished(store_run_folder(store))

    def run(self, report: ProgressCallback) -> None:
        """Do the work; an interrupted stage is resumed."""
        if self.kind.startswith("student"):
            self.trials.make_student(self.source, report)
        else:
            self.trials.make_store(self.source, report, test=self.kind.startswith("test"))


def refuse_one_answer(answers: Sequence[Tensor]) -> None:
    """Refuse a teacher that answers the clips of all tests alike.

    Any student that always gives this answer agrees with it, so that trials show nothing.

    Args:
        answers: The teacher's answers to the clips of each test; see `agreement.answers`.

    Raises:
        OperationError: All answers are equal.
    """
    given = torch.cat([*answers])
    if bool((given == given[0]).all()):
        raise OperationError(
            f"The teacher gives the same answer to all {count(len(given), 'held-out clip')}, so "
            f"every student agrees with it, and the trials show nothing. Check its weights, its "
            f"labels, and the front end that it was trained with."
        )


def _file_name(source: Source) -> str:
    return source.name.replace(", ", "-").replace(" ", "-")


def _seconds(folder: Path) -> float:
    return float(read_record(folder)["seconds"])


@dataclass
class PercentOf:
    """Progress of one stage as percent of all stages.

    Attributes:
        report: Takes the percent.
        total: Expected seconds of all stages.
        done: Expected seconds of the finished ones.
    """

    report: ProgressCallback
    total: float
    done: float = 0.0

    def stage(self, stage: Stage, seconds: float) -> ProgressCallback:
        """Return the callback of one stage, which takes its finished units."""

        def report(done: int, note: str = "") -> None:
            share = min(1.0, done / stage.units)
            self.report(int(100 * (self.done + share * seconds) / self.total), stage.title)

        return report


def run_stages(stages: list[Stage], costs: Costs, report: ProgressCallback) -> None:
    """Do all work that is not finished; report it in percent of the expected time."""
    work = [(stage, stage.seconds(costs)) for stage in stages]
    left = [(stage, seconds) for stage, seconds in work if not stage.is_finished()]
    total = sum(seconds for _, seconds in work)
    progress = PercentOf(report, total, total - sum(seconds for _, seconds in left))
    report(int(100 * progress.done / total))
    for stage, seconds in left:
        stage.run(progress.stage(stage, seconds))
        progress.done += seconds
    report(100)
