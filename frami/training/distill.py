"""Distillation: from one or several teachers, and a store or recordings, to a student."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from frami.core import files, processes, seeds, time_budget
from frami.core.checks import check_integer
from frami.core.errors import UsageError
from frami.core.extension import chain_of, current_steps, extend_record
from frami.core.files import expand
from frami.core.progress import ProgressCallback, check_callback, set_total, silent
from frami.core.run import read_record
from frami.core.run_choice import RECORD_KEY
from frami.core.run_runtime import select_run_runtime
from frami.core.shared_run import SharedRun
from frami.core.stopping import Deadline, make_deadline
from frami.core.trackers import LogCallback, check_log, ignore
from frami.core.warn import warn_all
from frami.data.store import Store
from frami.evaluate import complexity
from frami.models import bundle
from frami.models.model import Model, ModelLike, load
from frami.training import sources
from frami.training.echoes import count_batches
from frami.training.norms import noise_settings
from frami.training.plan import Plan, make_plan
from frami.training.sizes import size_warning
from frami.training.teachers import load_teachers
from frami.training.time_budget import StepBudget, choose_steps, recorded_steps, seconds_of_clips


def distill(
    teacher: ModelLike | Sequence[ModelLike],
    *,
    out: str | Path,
    samples: Store | str | Path | None = None,
    dataset: str | None = None,
    data: str | Path | None = None,
    test_fold: str | int | None = None,
    noise: bool = False,
    student: str = "small",
    width: int | None = None,
    depth: int | None = None,
    recipe: str = "frami",
    embedding_teacher: ModelLike | None = None,
    options: Mapping[str, Any] | None = None,
    budget: str | complexity.Budget | None = None,
    minutes: float | None = None,
    more_steps: int = 0,
    any_teacher: bool = False,
    strict: bool = False,
    stop_after: float | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    precision: str = "auto",
    report: ProgressCallback = silent,
    log: LogCallback = ignore,
    warn: Callable[[str], None] = lambda sentence: None,
    announce: Callable[[str], None] = lambda sentence: None,
) -> Model:
    """Distill a student from a store of synthetic clips, or from recordings; write and return it.

    Recordings give the upper bound of what a store can give. The last 5 % of each method's clips
    are not trained on; the student's agreement with its teacher on them goes into the record. An
    interrupted run is resumed, and the student of a finished run is loaded.

    Args:
        teacher: A model, the folder of a bundle, or the name of a pretrained model. Several of them
            form an ensemble (`frami.training.ensemble`). They are left as they were.
        out: Folder for the student's bundle and the run's record.
        samples: The store. Give one of ``samples``, ``dataset`` and ``noise``.
        dataset: A data set of recordings, with ``data`` and ``test_fold`` as in `frami.train`.
        data: See ``dataset``.
        test_fold: See ``dataset``.
        noise: Train on noise that is drawn anew for every batch, as a control. The settings
            ``teacher_norm=batch`` and ``student_norm=clips`` are then the default
            (`frami.training.norms`).
        student: A module of ``frami.students`` or ``frami.teachers``.
        width: Channels of the student; None is the network's default.
        depth: Layers of the student; None is the network's default.
        recipe: A name of `frami.training.recipes.RECIPES`.
        embedding_teacher: A model whose hidden state, statistics and embedding are matched in place
            of the (first) teacher's: a wider model, or one that was trained on more. Its front end
            is the teacher's, except for mean and deviation.
        options: Settings of `frami.training.norms.DistillSettings` and loss weights of the recipe,
            by name.
        budget: A name of `frami.evaluate.complexity.BUDGETS`, or a budget of your own; a larger
            student is refused.
        minutes: Time for clips and distillation together on this machine, in place of the setting
            ``steps``; the ``minutes`` of `frami.synthesize`. A measurement chooses as many steps as
            fit into what the clips leave: four fifths of it with a store of other minutes, all of
            it with recordings or noise. The run's record keeps the choice.
        more_steps: Train the student of a finished run for this number of steps more, from its
            weights and the optimizer's state, with a new cycle of the learning rate. The same
            number again, once it is done, trains nothing.
        any_teacher: Skip two safety checks: that the store was made from this teacher, and that the
            teacher was not trained on the test fold.
        strict: Refuse a data set with clips that cannot be used, instead of leaving them out.
        stop_after: Minutes after which the work stops, at a multiple of 20 steps; None: never.
        seed: Seed of the student's first weights, the order of the clips and their augmentation.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: CPU threads; None leaves the choice to torch.
        precision: ``auto``, ``float32`` or ``bfloat16``.
        report: Called with the number of finished steps.
        log: Called with the number of a step, and what metrics.jsonl gets for it.
        warn: Called with a sentence if the student is larger than its teacher.
        announce: Called with sentences on a store: what the teacher answers to its clips, and
            whether it is whole if it was made in shards; and on what was chosen for ``minutes``.

    Raises:
        UsageError: The student, recipe or a setting is unknown; not exactly one of ``samples``,
            ``dataset`` and ``noise`` is given; the teachers have different labels; the store has
            another teacher, front end, task or labels; or the ``minutes`` are too few.
        OperationError: The store has fewer than 4 clips.
        Stopped: The time of ``stop_after`` was over. The same call continues.
    """
    check_callback(report)
    deadline = make_deadline(stop_after)
    _check_minutes(minutes, options or {})
    check_log(log)
    teachers = load_teachers(teacher)
    if noise:
        options = {**noise_settings(teachers[0]), **(options or {})}
    plan = make_plan(
        teachers,
        embedding_teacher=embedding_teacher,
        student=(student, width, depth),
        recipe=recipe,
        options=options or {},
        labeled=dataset is not None,
        seed=seeds.check_seed(seed),
        runtime=select_run_runtime(expand(out), device, threads, precision),
    )
    source = sources.choose_source(
        teachers,
        plan.embedding_teacher,
        samples,
        dataset,
        data,
        test_fold,
        noise=_noise(plan) if noise else None,
        any_teacher=any_teacher,
        strict=strict,
        labeled=not plan.recipe.needs_teacher,
    )
    if budget:
        complexity.check_budget(budget, plan.student())
    more_steps = check_integer("more_steps", more_steps, 0)
    # A folder that cannot be written is reported before any clip is read.
    folder, details = files.ensure_dir(expand(out)), {}
    for note in source.notes:
        announce(note)
    warn_all(source.warnings)
    if minutes is not None:
        source = sources.read_once(source)  # to measure and to train
        choice = _choose_steps(plan, source, folder, minutes, samples, report)
        plan = replace(plan, settings=replace(plan.settings, steps=choice.steps))
        source = _noise(plan) if noise else source
        details = {RECORD_KEY: choice.to_json()}
        announce(choice.describe())
    return _run(plan, source, folder, more_steps, report, warn, log, deadline, details)


def _check_minutes(minutes: float | None, options: Mapping[str, Any]) -> None:
    """Refuse minutes that are out of range, or given beside a number of steps."""
    if minutes is not None:
        time_budget.check_minutes(minutes)
        if "steps" in options:
            raise UsageError("Give either `minutes` or the setting steps.")


def _choose_steps(
    plan: Plan,
    source: sources.TrainingSource,
    folder: Path,
    minutes: float,
    samples: Store | str | Path | None,
    report: ProgressCallback,
) -> StepBudget:
    """Return the steps that fit into the minutes: those of an interrupted run, or as measured."""
    recorded = processes.from_first(lambda: recorded_steps(folder, minutes))
    return recorded or choose_steps(
        plan, source.load, minutes, seconds_of_clips(samples, minutes), report
    )


def _noise(plan: Plan) -> sources.TrainingSource:
    """Return as many clips of noise as the steps of a plan take."""
    n_batches = count_batches(plan.settings.steps, plan.settings.echo)
    n_clips = n_batches * plan.settings.batch_size
    return sources.fresh_noise(plan.teachers, n_clips, plan.seed)


def _run(
    plan: Plan,
    source: sources.TrainingSource,
    out: Path,
    more_steps: int,
    report: ProgressCallback,
    warn: Callable[[str], None],
    log: LogCallback,
    deadline: Deadline,
    details: Mapping[str, Any],
) -> Model:
    """Train the student of a plan in a run folder, or load it if the run is finished."""
    # Recordings are read before the run starts, so that their time does not count as distillation.
    # Refused before recordings are read.
    record = read_record(out) if (out / "run.json").is_file() else None
    work = extend_record(out, record, more_steps) or {}
    is_done = work.get("status") == "finished"
    set_total(report, current_steps(work, plan.settings.steps)[1])
    if not is_done and (sentence := size_warning(plan.student(), plan.teachers)):
        warn(sentence)
    clips, held_out = (None, None) if is_done else source.load(report)
    with SharedRun(
        out,
        "distill",
        plan.record(source.origin),
        keeps_state=True,
        more_steps=more_steps,
        writes=bundle.BUNDLE_FILES,
        recordings=source.recordings,
        device=plan.runtime.name,
        layout=plan.runtime.layout,
        teacher=plan.teacher_id,
        missing=source.missing,
        log=log,
        deadline=deadline,
        **details,
    ) as run:
        if not run.finished and clips is not None:
            model, scores = plan.fit(clips, held_out, run, report)
            provenance = {"source": source.origin, **plan.provenance(), **chain_of(run.content)}
            processes.from_first(lambda: model.save(out, recipe=plan.recipe_name, **provenance))
            run.finish(fingerprint=model.fingerprint, **scores)
        return load(out, trust_code=True)
