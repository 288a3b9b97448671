"""Make the teachers, stores and students that a benchmark row needs, each once, in its own run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import frami
from frami.bench import foreign_teachers
from frami.bench.experiment import Experiment, TeacherSpec
from frami.core import files, locks
from frami.core.progress import show_progress
from frami.core.shards import Shard
from frami.core.stopping import LEAST_MINUTES, NEVER, Deadline
from frami.data.soundscapes import make_soundscapes
from frami.data.store import store_run_folder
from frami.models.model import Model

WARM_SEED = 1000  # added to the seed of the row, so that the shards draw other clips


@dataclass(frozen=True)
class Artifacts:
    """Where the recordings are, where the results go, and which device is used.

    Attributes:
        data: Folder of the data sets; None for ``FRAMI_DATA``.
        out: Folder for teachers, stores and students.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: Number of CPU threads; None is torch's choice.
        deadline: When the work stops.
    """

    data: str | None
    out: Path
    device: str = "auto"
    threads: int | None = None
    deadline: Deadline = NEVER

    @property
    def _stop_after(self) -> float | None:
        left = self.deadline.minutes_left
        return None if left is None else max(left, LEAST_MINUTES)

    def teacher(self, experiment: Experiment, spec: TeacherSpec) -> Model:
        """Return a teacher of an experiment; train it if it is missing."""
        task, recordings = experiment.task, self.recordings(experiment)
        if task.network in foreign_teachers.TEACHERS:
            return foreign_teachers.adopted_teacher(
                task, recordings, self.teacher_folder(experiment, spec), experiment.seed
            )
        title, out = f"{task.name}: {spec.folder_name}", self.teacher_folder(experiment, spec)
        with _alone(out), show_progress(title, task.teacher_steps) as report:
            return frami.train(
                task.dataset,
                recordings,
                test_fold=task.fold,
                out=out,
                network=task.network,
                width=spec.width,
                filterbank=None if spec.filterbank == "mel" else spec.filterbank,
                pooling=spec.pooling,
                task=task.model_task or None,
                options={"steps": task.teacher_steps, "batch_size": task.batch_size},
                seed=experiment.seed + spec.seed,
                device=self.device,
                threads=self.threads,
                stop_after=self._stop_after,
                report=report,
            )

    def store(self, experiment: Experiment, teacher: Model) -> Path:
        """Return the store of an experiment's method; synthesize it if it is missing."""
        task, source = experiment.task, experiment.source
        assert source.method is not None
        suffix = _settings_suffix({**source.synthesis, **(source.mixed or {})})
        suffix += "-alone" if source.mix == () else ""
        length = f"-{limit}-frames" if (limit := experiment.max_frames) else ""
        shards = f"-{source.shards}-shards" if source.shards else ""
        shards += f"-from-{source.warm_start}" if source.warm_start else ""
        name = f"{source.method}{suffix}-{task.samples}{length}{shards}.h5"
        path = self.folder(experiment) / name
        with _alone(store_run_folder(path)):
            if source.shards:
                self._synthesize_shards(experiment, teacher, path)
            else:
                self._synthesize(experiment, teacher, path)
        return path

    def _synthesize_shards(self, experiment: Experiment, teacher: Model, path: Path) -> None:
        """Make the shards of a store, and the store that they begin at; join the shards."""
        source, start = experiment.source, None
        if source.warm_start:
            task, start = replace(experiment.task, samples=source.warm_start), warm_path(path)
            other = replace(experiment, task=task, seed=WARM_SEED + experiment.seed)
            self._synthesize(other, teacher, start)
        for index in range(1, source.shards + 1):
            self._synthesize(experiment, teacher, path, (index, source.shards), start)
        if not path.exists():
            frami.merge(shard_paths(path, source.shards), path).close()

    def _synthesize(
        self,
        experiment: Experiment,
        teacher: Model,
        path: Path,
        shard: tuple[int, int] | None = None,
        warm_start: Path | None = None,
    ) -> None:
        """Make a store or one of its shards, or go on with it."""
        task, source = experiment.task, experiment.source
        options = dict(source.synthesis)
        if source.method == "recordings" and self.data:
            options["data"] = self.data
        title = f"{task.name}: {source.name}, {task.samples} clips"
        with show_progress(title, task.samples) as report:
            assert source.method is not None
            frami.synthesize(
                teacher,
                path,
                samples=task.samples,
                method=source.method,
                mix=source.mixed,
                frame_range=_frame_range(teacher, experiment.max_frames),
                options=options,
                seed=experiment.seed,
                device=self.device,
                threads=self.threads,
                stop_after=self._stop_after,
                shard=shard,
                warm_start=warm_start,
                report=report,
            ).close()

    def student(
        self, experiment: Experiment, specs: Sequence[TeacherSpec], store: Path | None
    ) -> Path:
        """Return the folder of a student of some teachers; distill it if it is missing."""
        task, source = experiment.task, experiment.source
        data: dict[str, Any] = {"noise": True} if source.noise else {"samples": store}
        if source.reads_recordings:
            recordings = self.recordings(experiment)
            data = {"dataset": task.dataset, "data": recordings, "test_fold": task.fold}
        out = self.folder(experiment) / _student_folder_name(experiment, specs, store)
        # Train the teachers first: each has a progress bar of its own.
        teachers = [self.teacher(experiment, spec) for spec in specs]
        other = source.embedding_teacher
        embedding_teacher = self.teacher(experiment, other) if other else None
        title = f"{task.name}: {experiment.student.name} from {source.name}"
        with _alone(out), show_progress(title, task.steps) as report:
            frami.distill(
                teachers,
                **data,
                student=experiment.student.network,
                width=experiment.student.width,
                budget=experiment.student.budget,
                out=out,
                recipe=source.recipe,
                embedding_teacher=embedding_teacher,
                options={"steps": task.steps, "batch_size": task.batch_size, **source.distillation},
                seed=experiment.seed,
                device=self.device,
                threads=self.threads,
                stop_after=self._stop_after,
                report=report,
            )
        return out

    def folder(self, experiment: Experiment) -> Path:
        """Return the folder of everything that shares an experiment's teacher and seed."""
        task = experiment.task
        data = f"{task.name.replace(' ', '-')}-{task.fold}"
        return self.out / f"{data}-{task.network}-{task.teacher_steps}-{experiment.seed}"

    def teacher_folder(self, experiment: Experiment, spec: TeacherSpec) -> Path:
        """Return the folder of a teacher."""
        return self.folder(experiment) / spec.folder_name

    def recordings(self, experiment: Experiment) -> str | None:
        """Return the folder of the recordings; mix the soundscapes if they are missing."""
        mixture = experiment.task.mixture
        if mixture is None:
            return self.data
        out = self.out / f"soundscapes-{mixture.dataset}-{mixture.fold}"
        total = mixture.train + mixture.validation
        # Seeds and suites share the soundscapes, so a second process waits for the first.
        with (
            locks.exclusive(files.ensure_dir(self.out)),
            show_progress(f"soundscapes of {mixture.dataset}", total) as report,
        ):
            make_soundscapes(
                mixture.dataset,
                out,
                self.data,
                test_fold=mixture.fold,
                train=mixture.train,
                validation=mixture.validation,
                options=dict(mixture.options),
                report=report,
            )
        return str(out)


def shard_paths(path: Path, n_shards: int) -> list[Path]:
    """Return the files of the shards of a store; the store alone without shards."""
    shards = [Shard(index, n_shards) for index in range(1, n_shards + 1)]
    return [shard.path(path) for shard in shards] or [path]


def warm_path(path: Path) -> Path:
    """Return the file of the store at which the shards of a store begin."""
    return path.with_name(f"{path.stem}-warm.h5")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a run's folder; rows of other processes can need the same run."""
    with locks.exclusive(files.ensure_dir(folder)):
        yield


def _frame_range(teacher: Model, limit: int) -> tuple[int, int] | None:
    """Return the shortest and the longest clip, in frames, of every method; None: its default."""
    shortest, longest = (min(n_frames, limit) for n_frames in teacher.frame_range)
    return (shortest, longest) if limit else None


def _student_folder_name(
    experiment: Experiment, specs: Sequence[TeacherSpec], store: Path | None
) -> str:
    student, source = experiment.student, experiment.source
    data = store.stem if store else "fresh-noise" if source.noise else "recordings"
    recipe = f"{source.recipe}{_settings_suffix(source.distillation)}-{experiment.task.steps}"
    teachers = "".join(
        f"-{spec.folder_name}" for spec in specs if len(specs) > 1 or spec != TeacherSpec()
    )
    if source.embedding_teacher:
        teachers += f"-with-{source.embedding_teacher.folder_name}"
    return f"{student.network}-{student.width}-{data}-{recipe}{teachers}"


def _settings_suffix(options: Mapping[str, Any]) -> str:
    return "".join(f"-{name}={value}" for name, value in sorted(options.items()))
