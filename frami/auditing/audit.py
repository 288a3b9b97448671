"""Audit a teacher, its store and its students: from the recordings to verdicts in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from frami.auditing.arguments import (
    check_numbers,
    describe_count,
    describe_store,
    describe_training,
    exported,
    load_students,
    open_store,
)
from frami.auditing.auditor import Auditor
from frami.auditing.document import write_document
from frami.auditing.guarantee import find_statement
from frami.auditing.pairs import write_pairs
from frami.auditing.pool import load_pool
from frami.auditing.separation import check_class_sides
from frami.auditing.settings import AuditSettings
from frami.auditing.sides import clip_task, find_sides
from frami.auditing.training import Trainer, make_trainer
from frami.auditing.verdict import NOT_DECIDABLE, Verdict
from frami.auditing.work import Subject, Work
from frami.core import files, seeds
from frami.core.cache import private_work
from frami.core.errors import UsageError
from frami.core.json_files import check_entries, read_object
from frami.core.progress import ProgressCallback, check_callback, silent
from frami.core.run import Run, matching_record
from frami.core.run_runtime import select_run_runtime
from frami.core.runtime import CPU
from frami.core.settings import make_settings
from frami.data.store import Store
from frami.models.model import ModelLike, as_model

FORMAT = "frami audit 1"
RESULT, DOCUMENT = "audit.json", "audit.md"


@dataclass(frozen=True)
class Audit:
    """The result of an audit.

    Attributes:
        verdicts: One verdict for each subject.
        statements: Sentences that hold beside the verdicts.
        content: Content of audit.json.
    """

    verdicts: tuple[Verdict, ...]
    statements: tuple[str, ...]
    content: Mapping[str, Any]

    @property
    def is_decided(self) -> bool:
        """Whether there is a verdict other than not decidable."""
        return any(verdict.kind != NOT_DECIDABLE for verdict in self.verdicts)

    def lines(self) -> list[str]:
        """Return the verdicts and the statements as text."""
        return [*(verdict.line for verdict in self.verdicts), *self.statements]


def audit(
    teacher: ModelLike,
    out: str | Path,
    *,
    members: str | Path | None = None,
    others: str | Path | None = None,
    dataset: str | None = None,
    data: str | Path | None = None,
    test_fold: str | int | None = None,
    student: ModelLike | Sequence[ModelLike] = (),
    samples: str | Path | None = None,
    references: int = 0,
    shadows: int = 0,
    canaries: int = 0,
    train_with: str | None = None,
    persons: bool = False,
    epsilon: float | None = None,
    delta: float | None = None,
    options: Mapping[str, Any] | None = None,
    strict: bool = False,
    recordings: bool = False,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    precision: str = "auto",
    report: ProgressCallback = silent,
) -> Audit:
    """Attack a teacher, its store and its students, and write what they reveal of the recordings.

    Run it where the recordings are. Members are the clips that the teacher was trained on. Others
    are like the members, but the teacher was not trained on them. Each subject gets one of three
    verdicts: leakage found, none found at this power, not decidable. An interrupted audit is
    resumed.

    Args:
        teacher: A model, the folder of a bundle, or the name of a pretrained model.
        out: Folder for ``audit.json``, ``audit.md`` and the arrays behind them. The arrays describe
            single recordings, so keep the folder where the recordings are.
        members: Folder with one folder of recordings for each class, or with a table.
        others: The same for clips that the teacher was not trained on.
        dataset: Data set, in place of two folders, with ``data`` and ``test_fold`` as in
            `frami.train`. The members are its training clips, the others those of the fold.
        data: See ``dataset``.
        test_fold: See ``dataset``.
        student: A student of the teacher, or several: models, bundles, or exported ONNX files.
        samples: The teacher's store.
        references: Number of reference models to train, 0 or even.
        shadows: Number of shadow pipelines, even and at most ``references``.
        canaries: Number of canaries for a new teacher: 0, or an even number from 60 on.
        train_with: Entry point of a function that trains reference models (`own_training`).
        persons: Whether the classes are persons.
        epsilon: Epsilon of the teacher's differential privacy, if its owner states it.
        delta: Delta of the teacher's differential privacy.
        options: Settings of `AuditSettings`, by name.
        strict: Refuse recordings that cannot be read, instead of leaving them out.
        recordings: Keep spectrograms of the nearest recordings (``pairs.npz``), for a report.
        seed: Seed of all random numbers.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: Number of CPU threads; None keeps torch's choice.
        precision: Precision of training reference models.
        report: Called with the number of finished training steps, of `training_steps` in all.

    Raises:
        UsageError: An argument is not allowed; members and others overlap, share a group, or do not
            share their classes; a student or the store has other labels or another teacher.
        OperationError: No recording can be read, or a file is damaged.
    """
    check_callback(report)
    settings, seed = make_settings(AuditSettings, options or {}), seeds.check_seed(seed)
    check_numbers(references, shadows, canaries)
    if recordings and samples is None:
        raise UsageError("`recordings` needs `samples`: the store whose neighbors are kept.")
    model, out = as_model(teacher), files.expand(out)
    statement = find_statement(model, epsilon, delta)
    subjects = load_students(model, student)
    store = open_store(model, samples) if samples is not None else None
    runtime = select_run_runtime(out, device, threads, precision)
    trainer, note = make_trainer(
        model, clip_task(model), settings.reference_steps, runtime, seed, train_with
    )
    work = Work(references, shadows, canaries, persons, statement)
    fold = {"dataset": dataset, "test_fold": None if test_fold is None else str(test_fold)}
    config = _run_settings(trainer, subjects, store, fold, work, settings)
    matching_record(out, config, (RESULT, DOCUMENT))  # before the recordings are read
    with private_work():
        sides = find_sides(model, members, others, dataset, data, test_fold)
        pool = load_pool(sides, model, strict=strict, report=report)
    check_class_sides(pool.clips.targets, pool.is_member, model.labels)
    auditor = Auditor(model, subjects, store, pool, trainer, settings, work, out)
    notes = [*describe_training(work, trainer, note), *describe_count(model, pool)]
    _run(auditor, config, notes, options or {}, report)
    if recordings:
        write_pairs(out, pool)
    return read_audit(out)


def _run_settings(
    trainer: Trainer,
    subjects: Sequence[Subject],
    store: Store | None,
    fold: Mapping[str, str | None],
    work: Work,
    settings: AuditSettings,
) -> dict[str, Any]:
    """Return all that the result depends on, except the recordings."""
    return {
        "teacher": trainer.teacher.fingerprint,
        "students": {subject.name: subject.fingerprint for subject in subjects},
        "store": describe_store(store) if store else {},
        **fold,
        **asdict(work),
        "train_with": trainer.function,
        "statement": asdict(work.statement) if work.statement else {},
        "options": asdict(settings),
        "seed": trainer.seed,
        "precision": trainer.runtime.precision,
    }


def _run(
    auditor: Auditor,
    config: Mapping[str, Any],
    notes: Sequence[str],
    given: Mapping[str, Any],
    report: ProgressCallback,
) -> None:
    """Run an audit and write its result, unless it is finished."""
    out, runtime = auditor.out, auditor.trainer.runtime
    with Run(
        out,
        "audit",
        config,
        writes=(RESULT, DOCUMENT),
        recordings=auditor.pool.fingerprint,
        device=runtime.name,
        layout=runtime.layout,
        given=dict(given),
    ) as run:
        if run.finished:
            return
        result = auditor.run(notes, report)
        content = {"format": FORMAT, **config, "exported": exported(auditor.students), **result}
        files.write_bytes(out / DOCUMENT, write_document(content).encode())
        files.write_json(out / RESULT, content)
        run.finish(verdicts={one["subject"]: one["kind"] for one in content["verdicts"]})


def read_audit(folder: str | Path) -> Audit:
    """Return the result that `audit` wrote into a folder.

    Raises:
        UsageError: The folder holds none.
        OperationError: The file is damaged.
    """
    path = files.expand(folder) / RESULT
    if not path.is_file():
        raise UsageError(f"There is no audit in {folder}: it has no {RESULT}.")
    content = read_object(path, {"verdicts": list, "statements": list[str]})
    texts = {field.name: str for field in fields(Verdict)}
    for one in content["verdicts"]:
        check_entries(one, str(path), texts)
    verdicts = tuple(Verdict(**{name: one[name] for name in texts}) for one in content["verdicts"])
    return Audit(verdicts, tuple(content["statements"]), content)


def training_steps(
    teacher: ModelLike,
    references: int,
    shadows: int,
    canaries: int,
    options: Mapping[str, Any] | None = None,
    *,
    samples: bool = False,
) -> int:
    """Return the number of training steps of an audit, for the progress; at least 1."""
    settings = make_settings(AuditSettings, options or {})
    model = as_model(teacher)
    trainer, _ = make_trainer(model, clip_task(model), settings.reference_steps, CPU, 0)
    n_models = references + (canaries > 0)
    n_students = shadows + (samples and shadows > 0)
    return max(1, n_models * trainer.settings.steps + n_students * settings.shadow_steps)
