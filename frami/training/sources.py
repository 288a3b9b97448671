"""The clips that a student is distilled from: a store of synthetic clips, or recordings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from frami.core.errors import OperationError, UsageError
from frami.core.files import expand
from frami.core.progress import ProgressCallback
from frami.core.text import count, preview
from frami.data.clips import Clips, Spectrograms
from frami.data.composition import describe_answers, target_warnings
from frami.data.leakage import leakage_warning
from frami.data.noise import NoiseClips
from frami.data.recordings import Split
from frami.data.shards import describe_shards
from frami.data.splits import load_split, match_labels, require_training_clips, split_for_task
from frami.data.store import Store, train_holdout_split
from frami.models.compatibility import distinct_front_ends
from frami.models.model import Model

MIN_CLIPS = 4


@dataclass(frozen=True)
class TrainingSource:
    """Clips that are checked, but not read yet.

    Attributes:
        origin: Where the clips come from, for the student's record.
        load: Reads the clips; takes the progress of the distillation. Returns the training clips,
            and the held-out clips of a store or None for recordings, whose test fold is held out.
        recordings: Fingerprint of the recordings, or of the clips of a store.
        missing: Sentences on what is missing of the recordings (`Split.missing`).
        notes: Sentences on a store: whether it is whole if it was made in shards, and what the
            teacher answers to its clips.
        warnings: Sentences on clips that do not get their target class.
    """

    origin: dict[str, Any]
    load: Callable[[ProgressCallback], tuple[Clips, Clips | None]]
    recordings: str = ""
    missing: str = ""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def read_once(source: TrainingSource) -> TrainingSource:
    """Return the source, which keeps its clips after they are read for the first time."""
    kept: list[tuple[Clips, Clips | None]] = []

    def load(report: ProgressCallback) -> tuple[Clips, Clips | None]:
        if not kept:
            kept.append(source.load(report))
        return kept[0]

    return replace(source, load=load)


def choose_source(
    teachers: Sequence[Model],
    embedding_teacher: Model | None,
    samples: Store | str | Path | None,
    dataset: str | None,
    data: str | Path | None,
    test_fold: str | int | None,
    *,
    noise: TrainingSource | None = None,
    any_teacher: bool,
    labeled: bool,
    strict: bool = False,
) -> TrainingSource:
    """Return the clips of a store or, if a data set is named, recordings; or else the noise.

    Args:
        teachers: The teachers.
        embedding_teacher: The model that gives the hidden states, if another than the teacher.
        samples: See `frami.distill`.
        dataset: See `frami.distill`.
        data: See `frami.distill`.
        test_fold: See `frami.distill`.
        noise: The result of `fresh_noise`, if the clips are noise.
        any_teacher: See `frami.distill`.
        labeled: Whether training needs labels. If so, recordings without labels are left out.
        strict: See `frami.distill`.

    Raises:
        UsageError: Not exactly one of ``samples``, ``dataset`` and ``noise`` is given, a teacher
            may have been trained on the test fold, the store does not fit the teachers, or training
            on noise needs labels.
        OperationError: The store is damaged, or has too few clips.
    """
    if sum(given is not None for given in (samples, dataset, noise)) != 1:
        raise UsageError(
            "Give either `samples` (a store), `dataset` with `test_fold` (recordings), or `noise`."
        )
    if dataset is not None:
        if test_fold is None:
            raise UsageError(
                "`dataset` needs `test_fold`: the fold that the student is not trained on."
            )
        split = load_split(dataset, data, test_fold=test_fold, strict=strict)
        return _from_recordings(teachers, embedding_teacher, split, any_teacher, labeled)
    if data is not None or test_fold is not None:
        raise UsageError(
            "`data` and `test_fold` apply to recordings; leave them out with `samples` and `noise`."
        )
    if noise is not None:
        if labeled:
            raise UsageError("Noise has no labels. Use a recipe that learns from the teacher: kd.")
        return noise
    assert samples is not None
    return _from_store(teachers, samples, any_teacher=any_teacher)


def _from_recordings(
    teachers: Sequence[Model],
    embedding_teacher: Model | None,
    split: Split,
    any_teacher: bool,
    labeled: bool,
) -> TrainingSource:
    """Return the recordings outside a test fold; raise if a teacher may have been trained on it."""
    split = split_for_task(split, teachers[0].task)
    if labeled:
        split = replace(split, train=split.train.labeled())
    require_training_clips(split)
    split = match_labels(split, teachers[0].labels)
    for model in filter(None, (*teachers, embedding_teacher)):
        if not any_teacher and (warning := leakage_warning(model.provenance, split)):
            raise UsageError(
                f"Teacher {model.fingerprint}: {warning} Hold out the same fold, or pass "
                f"`any_teacher` to skip this check."
            )
    front_ends = distinct_front_ends(teachers)
    return TrainingSource(
        split.origin,
        lambda report: (
            Spectrograms.from_recordings(split.train, *front_ends, report=report),
            None,
        ),
        split.fingerprint,
        split.missing,
    )


def _from_store(
    teachers: Sequence[Model], samples: Store | str | Path, *, any_teacher: bool
) -> TrainingSource:
    """Return the clips of a store; raise if they do not fit the teachers."""
    store = samples if isinstance(samples, Store) else Store(expand(samples))
    if not store.is_open:
        store = Store(store.path)
    if len(distinct_front_ends(teachers)) > 1:
        raise UsageError(
            "A store has one front end, and these teachers have several. "
            "Distill from recordings with `dataset`, or use teachers with one front end."
        )
    is_of_teachers = store.teacher in [teacher.fingerprint for teacher in teachers]
    _check_store(store, teachers[0], any_teacher=any_teacher or is_of_teachers)
    origin = {
        "method": store.method,
        "clips": len(store),
        "settings": store.settings,
        "teacher": store.teacher,
    }
    return TrainingSource(
        origin,
        lambda report: train_holdout_split(store),
        f"-{store.contents_digest}",
        notes=(*filter(None, [describe_shards(store)]), *describe_answers(store)),
        warnings=tuple(target_warnings(store)),
    )


def _check_store(store: Store, teacher: Model, *, any_teacher: bool) -> None:
    """Raise if a student of this teacher cannot be trained on the store."""
    if len(store) < MIN_CLIPS:
        raise OperationError(
            f"{store.path} has {count(len(store), 'clip')}; at least {MIN_CLIPS} are needed. "
            f"Run frami synthesize again to add clips."
        )
    if store.front_end != teacher.front_end:
        raise UsageError(
            f"{store.path} was made for another front end than this teacher's. Run frami "
            f"synthesize with this teacher. If you passed several teachers, put the one that made "
            f"the store first."
        )
    if store.teacher != teacher.fingerprint and not any_teacher:
        raise UsageError(
            f"{store.path} was inverted from the teacher {store.teacher}, but this teacher is "
            f"{teacher.fingerprint}. Run frami synthesize with this teacher, or pass `any_teacher` "
            f"to skip this check."
        )
    if store.task != teacher.task:
        raise UsageError(
            f"{store.path} is for the task {store.task}, but this teacher's task is "
            f"{teacher.task}. Use the teacher that made the store."
        )
    if store.labels != teacher.labels:
        raise UsageError(
            f"{store.path} has {count(len(store.labels), 'class')} ({preview(store.labels)}), but "
            f"this teacher has {len(teacher.labels)} ({preview(teacher.labels)}). "
            f"Use the teacher that made the store."
        )


def fresh_noise(teachers: Sequence[Model], count: int, seed: int) -> TrainingSource:
    """Return ``count`` clips of noise, drawn when they are read; see `NoiseClips`."""
    teacher = teachers[0]
    if len(distinct_front_ends(teachers)) > 1:
        raise UsageError("`noise` has one front end, and these teachers have several.")
    clips = NoiseClips(
        count,
        teacher.front_end,
        teacher.frame_range,
        seed,
        n_tags=None if teacher.task == "single-label" else len(teacher.labels),
    )
    origin = {"method": "fresh noise", "clips": count, "frame_range": list(teacher.frame_range)}
    return TrainingSource(origin, lambda report: (clips, None))
