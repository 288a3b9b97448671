"""Check that runs belong together: one teacher, its stores, their students, their exports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from frami.core.errors import UsageError
from frami.reporting.found_runs import FoundRun, of_kind, settings_fingerprint
from frami.reporting.untrusted import mapping, sequence, shown


def check_together(runs: Sequence[FoundRun]) -> None:
    """Refuse runs of several teachers, or students of other stores than the given ones.

    Raises:
        UsageError: The runs do not belong together; the sentence names both fingerprints.
    """
    teacher_of = {run.path: teacher for run in runs if (teacher := teacher_fingerprint(run))}
    derived = [run for run in runs if run.path in teacher_of]
    models = {run.fingerprint: run for run in of_kind(runs, "model")}
    for run in derived[1:]:
        _require_one_teacher(run, derived[0], teacher_of)
    if derived:
        _require_teacher(derived[0], teacher_of[derived[0].path], models, teacher_of)
    _require_stores(runs)
    _require_audited_stores(runs)
    for run in runs:
        known = students_of(run)
        others = {
            fingerprint
            for fingerprint, model in models.items()
            if run.kind != "audit" or teacher_fingerprint(model)
        }
        if others and known and not set(known) & others:
            raise UsageError(
                f"{shown(run.path)} is of the model {known[0]}, but the models of this report are "
                f"{' and '.join(sorted(others))}."
            )


def teacher_fingerprint(run: FoundRun) -> str:
    """Return the fingerprint of the teacher of a store, a student or an audit; else empty."""
    if run.kind in ("store", "audit"):
        return shown(run.content.get("teacher") or "")
    if run.kind == "model":
        return shown(mapping(run.content.get("provenance")).get("teacher", ""))
    return ""


def students_of(run: FoundRun) -> list[str]:
    """Return the fingerprints of the models that scores, an export or an audit are of."""
    if run.kind == "audit":
        files = sequence(run.content.get("exported"))
        students = mapping(run.content.get("students"))
        return [shown(digits) for name, digits in students.items() if name not in files]
    if run.kind == "export":
        return [shown(run.content["fingerprint"])] if "fingerprint" in run.content else []
    fingerprints = mapping(run.record.get("settings")).get("fingerprints", [])
    return [shown(one) for one in sequence(fingerprints)] if run.kind == "scores" else []


def store_of(run: FoundRun) -> Mapping[str, Any] | None:
    """Return what a student's provenance holds on its store; None if it is not from a store."""
    source = mapping(mapping(run.content.get("provenance")).get("source"))
    return source if run.kind == "model" and "settings" in source else None


def _require_one_teacher(run: FoundRun, first: FoundRun, teacher_of: Mapping[Any, str]) -> None:
    """Refuse two results of different teachers; an ensemble shares one of its teachers."""
    mine, others = teacher_of[run.path], teacher_of[first.path]
    if not set(mine.split("+")) & set(others.split("+")):
        raise UsageError(
            f"{shown(run.path)} belongs to the teacher {mine}, but {shown(first.path)} to the "
            f"teacher {others}; make a report for each teacher."
        )


def _require_teacher(
    run: FoundRun,
    fingerprint: str,
    models: Mapping[str, FoundRun],
    teacher_of: Mapping[Any, str],
) -> None:
    """Refuse a model that is neither the teacher of the other runs nor made from it."""
    expected = set(fingerprint.split("+"))
    strangers = [one for one in models.values() if one.path not in teacher_of]
    if strangers and not expected & {one.fingerprint for one in strangers}:
        raise UsageError(
            f"{shown(run.path)} belongs to the teacher {fingerprint}, but "
            f"{shown(strangers[0].path)} is the model {strangers[0].fingerprint}."
        )


def _require_stores(runs: Sequence[FoundRun]) -> None:
    """Refuse a student whose store is not among the stores of the report."""
    stores = {run.fingerprint: run for run in of_kind(runs, "store")}
    for run in runs:
        source = store_of(run)
        if not stores or source is None:
            continue
        fingerprint = settings_fingerprint(source)
        if fingerprint not in stores:
            raise UsageError(
                f"{shown(run.path)} was distilled from the store {fingerprint}, but "
                f"{shown(next(iter(stores.values())).path)} is the store {next(iter(stores))}."
            )


def _require_audited_stores(runs: Sequence[FoundRun]) -> None:
    """Refuse an audit of another store than those of the report."""
    stores = {run.content["contents"]: run for run in of_kind(runs, "store")}
    for run in runs:
        audited = mapping(run.content.get("store")) if run.kind == "audit" else {}
        if stores and audited and audited.get("fingerprint") not in stores:
            raise UsageError(
                f"{shown(run.path)} is of a store with the contents "
                f"{shown(audited.get('fingerprint'))}, but those of "
                f"{shown(next(iter(stores.values())).path)} are {next(iter(stores))}."
            )
