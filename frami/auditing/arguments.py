"""Check the arguments of an audit: students, store and numbers of models."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from frami.auditing.canaries import FEWEST as FEWEST_CANARIES
from frami.auditing.pool import Pool
from frami.auditing.training import Trainer
from frami.auditing.work import Subject, Work
from frami.core.checks import check_integer
from frami.core.errors import UsageError
from frami.core.text import count
from frami.data.identity import contents_fingerprint
from frami.data.store import Store
from frami.models.model import Model, ModelLike, as_model
from frami.prediction.exported import find_model_file
from frami.prediction.loading import make_predictor

NOT_PRIVATE = (
    "Reference models, and the teacher with canaries, are trained without differential privacy. "
    "They predict the losses of this teacher less well, so the attacks are weaker; canaries do not "
    "measure its training."
)


def check_numbers(references: int, shadows: int, canaries: int) -> None:
    """Refuse numbers of models and canaries that do not allow equal halves."""
    for name, value in (("references", references), ("shadows", shadows), ("canaries", canaries)):
        if check_integer(name, value, 0, 10_000) % 2:
            raise UsageError(
                f"`{name}` is {value}; an even number is needed, because one half of them is "
                f"compared with the other."
            )
    if shadows > references:
        raise UsageError(
            f"`shadows` is {shadows}; it must be at most `references` ({references}), whose models "
            f"are the teachers of the shadow pipelines."
        )
    if 0 < canaries < FEWEST_CANARIES:
        raise UsageError(
            f"`canaries` is {canaries}; it must be 0, or {FEWEST_CANARIES} or more, because fewer "
            f"show nothing."
        )


def describe_training(work: Work, trainer: Trainer, note: str) -> list[str]:
    """Return sentences on how the models that the audit trains differ from the teacher."""
    if not (work.references or work.canaries):
        return []
    lacks_privacy = work.statement and not trainer.function
    return [*([note] if note else []), *([NOT_PRIVATE] if lacks_privacy else [])]


def describe_count(teacher: Model, pool: Pool) -> list[str]:
    """Return a sentence if the teacher was trained on another number of clips than the members."""
    trained = teacher.provenance.get("clips")
    if not isinstance(trained, int) or trained == pool.n_members:
        return []
    return [
        f"The teacher was trained on {count(trained, 'clip')}, but there are "
        f"{count(pool.n_members, 'member')}. If a member was not in its training, leakage is "
        f"underestimated."
    ]


def load_students(teacher: Model, student: ModelLike | Sequence[ModelLike]) -> list[Subject]:
    """Return the students; refuse one of other labels or another task."""
    students = [student] if isinstance(student, Model | str | Path) else list(student)
    subjects: list[Subject] = []
    for number, one in enumerate(students, 1):
        predictor = make_predictor(one)
        place = "The student" if isinstance(one, Model) else str(one)
        if predictor.labels != teacher.labels or predictor.task.name != teacher.task:
            raise UsageError(
                f"{place} has other labels or another task than the teacher. Pass a student of "
                f"this teacher."
            )
        file = find_model_file(one)
        name = "student" if len(students) == 1 else f"student {number}"
        subjects.append(Subject(name, predictor, _digest(file) if file else as_model(one)))
    return subjects


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def open_store(teacher: Model, samples: str | Path) -> Store:
    """Return a store; refuse one of another teacher or front end."""
    store = Store(samples)
    if store.front_end != teacher.front_end:
        raise UsageError(
            f"{store.path} was made for another front end than this teacher's. Pass the store of "
            f"this teacher."
        )
    if store.teacher != teacher.fingerprint:
        raise UsageError(
            f"{store.path} was inverted from the teacher {store.teacher}, but this teacher is "
            f"{teacher.fingerprint}. Pass the store of this teacher."
        )
    return store


def exported(subjects: Sequence[Subject]) -> list[str]:
    """Return the names of the students that are exported files."""
    return [subject.name for subject in subjects if isinstance(subject.identity, str)]


def describe_store(store: Store) -> dict[str, Any]:
    """Return what identifies a store."""
    contents = contents_fingerprint(store)
    return {"clips": len(store), "method": store.method, "fingerprint": contents}
