"""The synthesis engine: from a frozen teacher to a store of synthetic spectrograms, by any method.

It draws targets and lengths, stores the clips, resumes interrupted work, and reads no recordings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from frami.core import code, seeds, time_budget
from frami.core.errors import UsageError
from frami.core.files import expand
from frami.core.progress import ProgressCallback, check_callback, silent
from frami.core.run import Run, discard_record, is_finished, read_record
from frami.core.run_choice import RECORD_KEY
from frami.core.run_identity import check_same_data
from frami.core.run_runtime import select_run_runtime
from frami.core.settings import identity_fields
from frami.core.shards import make_shard
from frami.core.stopping import Deadline, make_deadline
from frami.core.trackers import LogCallback, check_log, ignore
from frami.core.warn import warn_all
from frami.data.composition import target_warnings
from frami.data.store import Store, store_run_folder
from frami.data.writer import StoreWriter
from frami.inversion import checks, targets
from frami.inversion.checks import inversion_warnings
from frami.inversion.mixture import Mixture, Part, plan_parts, unique
from frami.inversion.plan import SynthesisPlan
from frami.inversion.rounds import Synthesis, check_turns
from frami.inversion.time_budget import plan_clips
from frami.inversion.warm_start import with_warm_start
from frami.inversion.weak_priors import moments_digest
from frami.models.model import Model, ModelLike, as_model

BATCH_SIZE = 64
SAMPLES = 4000


def synthesize(
    teacher: ModelLike,
    out: str | Path,
    *,
    samples: int | None = None,
    minutes: float | None = None,
    method: str = "frami",
    mix: Mapping[str, float] | None = None,
    frame_range: tuple[int, int] | None = None,
    batch_size: int = BATCH_SIZE,
    co_occurrence: float = 0.0,
    options: Mapping[str, Any] | None = None,
    moments: str | Path | None = None,
    warm_start: str | Path | None = None,
    shard: tuple[int, int] | None = None,
    stop_after: float | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    precision: str = "auto",
    report: ProgressCallback = silent,
    announce: Callable[[str], None] = lambda sentence: None,
    log: LogCallback = ignore,
) -> Store:
    """Invert a teacher into a store of synthetic spectrograms; return the store, open for reading.

    An existing store made with the same settings is continued where it stopped. A `FramiWarning`
    tells of a teacher that is hard to invert, and of clips that do not get their target class.

    Args:
        teacher: A model, a bundle's folder, or the name of a pretrained model. It is not changed.
        out: The HDF5 file to write. Its run record goes into the folder ``<name>.run`` beside it.
        samples: Number of clips; None is 4,000, unless ``minutes`` are given. The last batch is
            complete, so the store can have up to ``batch_size - 1`` more.
        minutes: Time for clips and distillation together on this machine, in place of ``samples``.
            A measurement of some seconds chooses the number of clips. The run's record keeps the
            choice, so that the same call continues an interrupted run.
        method: Name of a module of `frami.generators`, or of a module of your own with a dot.
        mix: Shares of the rounds that other methods make, by name: ``{"synthesizer": 0.3}``. None:
            the method's own; with ``frami``, half of the rounds are sounds of ``synthesizer``. An
            empty mapping: no other method. The column ``method`` of the store has the method of
            each clip.
        frame_range: Shortest and longest clip, in frames. Default: the teacher's, up to the
            method's limit if the teacher's task is single-label.
        batch_size: Clips per round.
        co_occurrence: How strongly to favor tag pairs with similar class weights; 0 is uniform.
        options: Settings of the method, by name; those of a method of ``mix`` as
            ``synthesizer.balance``.
        moments: File of moments of recordings (`frami moments`), as a prior for a teacher with few
            batch norms, for the methods ``frami`` and ``deepinversion``.
        warm_start: A finished store of this teacher, with the same settings of the method: the
            method goes on with what it has learned there. Only its decoder and averages are used.
        shard: Make one of N shards of the plan, ``(I, N)`` with I from 1: the rounds that are I - 1
            modulo N. The file is ``samples.shard-I-of-N.h5`` for an ``out`` of ``samples.h5``;
            `frami.data.merge.merge` joins the shards. A shard carries weights and averages over
            its own rounds only, so the clips of a method that does so depend on N.
        stop_after: Minutes after which the work stops with the first round that ends; None: never.
        seed: Seed of all random numbers.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        threads: Number of CPU threads; None keeps torch's choice.
        precision: ``auto``, ``float32`` or ``bfloat16``.
        report: Called with the number of finished clips.
        announce: Called with a sentence on what was chosen for ``minutes``.
        log: Called with the number of a round, and what metrics.jsonl gets for it.

    Raises:
        UsageError: A method or setting does not exist, or is not allowed; the store was made with
            other settings; another process is writing to it; the ``minutes`` are too few; or the
            plan has fewer rounds than shards.
        Stopped: The time of ``stop_after`` was over. The same call continues.
    """
    check_callback(report)
    deadline = make_deadline(stop_after)
    n_clips = _check_samples(samples, minutes, batch_size)
    check_log(log)
    teacher = as_model(teacher)
    out, seed = expand(out), seeds.check_seed(seed)
    own, n_rounds = None, -(-n_clips // batch_size)
    if shard is not None:
        own = checks.check_shard(make_shard(shard), minutes, n_rounds, batch_size)
        out, n_clips = own.path(out), batch_size * len(own.pieces(n_rounds))
    parts = plan_parts(teacher, method, mix, options or {}, moments)
    frame_range = _check_parts(teacher, parts, frame_range, co_occurrence)
    runtime = select_run_runtime(store_run_folder(out), device, threads, precision)
    # Generators of a fixed size are built for the clips of this synthesis.
    sized = replace(teacher, frame_range=frame_range)
    n_shards = own.count if own else 1
    inversion = Mixture(parts, sized, runtime, seed, n_shards)
    plan = SynthesisPlan(
        method=parts[0].method,
        options=identity_fields(parts[0].settings),
        frame_range=frame_range,
        batch_size=batch_size,
        co_occurrence=co_occurrence,
        seed=seed,
        precision=runtime.precision,
        recordings=inversion.recordings,
        mix=[part.to_json() for part in parts[1:]],
        moments=moments_digest(parts[0].settings, teacher),
        shard={**asdict(own), "rounds": n_rounds} if own else None,
    )
    plan, start = with_warm_start(plan, teacher, warm_start)
    details: dict[str, Any] = {}
    if minutes is not None:
        choice = plan_clips(minutes, sized, parts, out, runtime, batch_size, seed, report)
        n_clips, details = choice.samples, {RECORD_KEY: choice.to_json()}
        announce(choice.describe())
    if mix:
        check_turns(parts, batch_size * n_rounds if own else n_clips, batch_size, n_shards)
    with closing(_open_writer(out, teacher, plan, parts)) as writer:
        synthesis = Synthesis(plan, teacher, inversion, writer, runtime, start)
        _run(synthesis, parts, out, n_clips, report, log, deadline, details)
    store = Store(out)
    warn_all(target_warnings(store))
    return store


def _check_samples(samples: int | None, minutes: float | None, batch_size: int) -> int:
    """Return the number of clips; with ``minutes`` it is chosen later."""
    if minutes is not None:
        time_budget.check_minutes(minutes)
        if samples is not None:
            raise UsageError("Give either `samples` or `minutes`.")
    n_clips = SAMPLES if samples is None else samples
    checks.check_sizes(n_clips, batch_size)
    return n_clips


def _check_parts(
    teacher: Model,
    parts: Sequence[Part],
    frame_range: tuple[int, int] | None,
    co_occurrence: float,
) -> tuple[int, int]:
    """Return the shortest and longest clip; refuse or warn of methods that a teacher cannot use."""
    if frame_range is None:
        frame_range = targets.default_frame_range(teacher, parts[0].settings)
    frame_range = checks.check_frame_range(frame_range)
    for part in parts:
        checks.check_teacher(teacher, part.settings, co_occurrence)
        warn_all(inversion_warnings(teacher, part.settings))
    return frame_range


def _open_writer(
    out: Path, teacher: Model, plan: SynthesisPlan, parts: Sequence[Part]
) -> StoreWriter:
    return StoreWriter(
        out,
        _describe_store(teacher, plan),
        max_frames=plan.frame_range[1],
        losses=unique(checks.weighted_losses(part.settings) for part in parts),
        task=teacher.task,
    )


def _run(
    synthesis: Synthesis,
    parts: Sequence[Part],
    out: Path,
    samples: int,
    report: ProgressCallback,
    log: LogCallback,
    deadline: Deadline,
    details: Mapping[str, Any],
) -> None:
    """Run the rounds that a store still lacks, and record the run beside it."""
    folder, teacher = store_run_folder(out), synthesis.teacher
    if synthesis.writer.rows >= samples and is_finished(folder):
        recorded = read_record(folder).get("recordings", "")
        check_same_data(folder, recorded, synthesis.inversion.contents)
        return
    if not synthesis.writer.rows:  # a record without clips belongs to a store that was deleted
        discard_record(folder)
    needs: dict[str, Any] = {code.TEACHER_CODE: teacher.code} if teacher.code else {}
    with Run(
        folder,
        "synthesize",
        synthesis.plan.to_json(),
        grows=True,
        recordings=synthesis.inversion.contents,
        device=synthesis.runtime.name,
        layout=synthesis.runtime.layout,
        teacher=teacher.fingerprint,
        active_losses=unique(checks.active_losses(teacher, part.settings) for part in parts),
        log=log,
        deadline=deadline,
        warnings=unique(inversion_warnings(teacher, part.settings) for part in parts),
        **needs,
        **details,
    ) as run:
        synthesis.run(run, samples, report)


def _describe_store(teacher: Model, plan: SynthesisPlan) -> dict[str, Any]:
    """Return the attributes of the store."""
    return {
        "teacher": teacher.fingerprint,
        "front_end": teacher.front_end,
        "labels": list(teacher.labels),
        "method": plan.methods,
        "settings": plan.to_json(),
    }
