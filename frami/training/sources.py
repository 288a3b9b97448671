"""What a student is distilled from: the clips of a store, or recordings, if its teachers may teach with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from frami.core.errors import OperationError, UsageError
from frami.core.text import preview
from frami.data.clips import Clips, Spectrograms
from frami.data.leakage import leakage_warning
from frami.data.splits import check_labels, load_split, require_training_clips, split_for_task
from frami.data.store import Store, train_holdout_split
from frami.models.compatibility import distinct_front_ends
from frami.models.model import Model


class TrainingSource(NamedTuple):
    """Clips that are not read yet.

    Attributes:
        origin: What they are, for the student's record.
        hear: Reads them; returns what to train on, and what to hold out (None of recordings, whose test fold is).
        recordings: Fingerprint of the recordings; empty of a store.
    """

    origin: dict[str, Any]
    load: Callable[[], tuple[Clips, Clips | None]]
    recordings: str = ""


def choose_source(
    teachers: Sequence[Model],
    embedding_teacher: Model | None,
    samples: Store | str | Path | None,
    dataset: str | None,
    data: str | Path | None,
    test_fold: str | int | None,
    *,
    any_teacher: bool,
    labelled: bool,
) -> TrainingSource:
    """Return the clips of a store or, if a data set is named, recordings; `frami.distill` has the arguments.

    If only those that are ``labelled`` are of use, recordings that are not are left out.
    """
    if dataset is not None and samples is None:
        return _from_recordings(
            teachers, embedding_teacher, dataset, data, test_fold, any_teacher, labelled
        )
    if samples is None or dataset is not None:
        raise UsageError(
            "Name either a store (--samples) or recordings (--dataset with --test-fold) to distil from, not both."
        )
    if data is not None or test_fold is not None:
        raise UsageError(
            "--data and --test-fold are of recordings; a store (--samples) is distilled from without any."
        )
    return _from_store(teachers, samples, any_teacher=any_teacher)


def _from_recordings(
    teachers: Sequence[Model],
    embedding_teacher: Model | None,
    dataset: str,
    data: str | Path | None,
    test_fold: str | int | None,
    any_teacher: bool,
    labelled: bool,
) -> TrainingSource:
    """Return the recordings outside a test fold, refused if a teacher may know that fold."""
    if test_fold is None:
        raise UsageError(
            "--dataset needs --test-fold: what is held out must never be distilled from."
        )
    split = split_for_task(load_split(dataset, data, test_fold=test_fold), teachers[0].task)
    if labelled:
        split = replace(split, train=split.train.labeled())
    require_training_clips(split)
    check_labels(teachers[0].labels, split)
    for one in filter(None, (*teachers, embedding_teacher)):
        if not any_teacher and (known := leakage_warning(one.provenance, split)):
            raise UsageError(
                f"Of teacher {one.fingerprint}: {known} Hold out the same, or say --any-teacher if it is meant."
            )
    ends = distinct_front_ends(teachers)
    return TrainingSource(
        split.origin,
        lambda: (Spectrograms.from_recordings(split.train, *ends), None),
        split.fingerprint,
    )


def _from_store(
    teachers: Sequence[Model], samples: Store | str | Path, *, any_teacher: bool
) -> TrainingSource:
    """Return the clips of a store, refused if they are not of these teachers."""
    if isinstance(samples, Store) and samples.is_open:
        store = samples
    else:  # one that its owner has closed is opened again
        store = Store(samples.path if isinstance(samples, Store) else Path(samples))
    if len(distinct_front_ends(teachers)) > 1:
        raise UsageError(
            "A store is made for one front end; teachers with several of them teach from --dataset only."
        )
    known = store.teacher in [one.fingerprint for one in teachers]
    _check_store(store, teachers[0], any_teacher=any_teacher or known)
    origin = {
        "method": store.method,
        "clips": len(store),
        "settings": store.settings,
        "teacher": store.teacher,
    }
    return TrainingSource(origin, lambda: train_holdout_split(store))


def _check_store(store: Store, teacher: Model, *, any_teacher: bool) -> None:
    """Refuse a store that this teacher's student cannot learn from."""
    if len(store) < 4:
        raise OperationError(
            f"{store.path} holds {len(store)} clips; 4 or more are needed: frami synthesize goes on with it."
        )
    if store.front_end != teacher.front_end:
        raise OperationError(
            f"{store.path} was made for another front end than this teacher's; synthesise one from this teacher, or, of "
            f"several, name the one that it was made from first."
        )
    if store.teacher != teacher.fingerprint and not any_teacher:
        raise OperationError(
            f"{store.path} was inverted from the teacher {store.teacher}, this one is {teacher.fingerprint}; "
            f"synthesise one from this teacher, or say --any-teacher if it is meant."
        )
    if store.task != teacher.task:
        raise OperationError(
            f"{store.path} was made for the task {store.task}, this teacher's is {teacher.task}."
        )
    if store.labels != teacher.labels:
        raise OperationError(
            f"{store.path} is of {len(store.labels)} classes ({preview(store.labels)}), this teacher knows "
            f"{len(teacher.labels)} ({preview(teacher.labels)}); name the teacher that it was made from."
        )
