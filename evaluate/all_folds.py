"""Scores over all folds of a data set: mean and standard error."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from frami.core.errors import UsageError
from frami.core.files import expand
from frami.core.progress import ProgressCallback, silent
from frami.core.text import preview
from frami.data.recordings import load_dataset
from frami.data.splits import find_data_folder
from frami.evaluate.scores import score
from frami.models.bundle import DESCRIPTION_FILE
from frami.models.model import load

PLACEHOLDER = "{fold}"


def score_all_folds(
    model: str | Path,
    dataset: str,
    data: str | Path | None = None,
    *,
    others: Sequence[str | Path] = (),
    teacher: str | Path | None = None,
    report: ProgressCallback = silent,
    **options: Any,
) -> dict[str, Any]:
    """Score one model for each fold of a data set.

    Args:
        model: Folder of the model of a fold, with ``{fold}`` where the name of the fold is, such as
            ``TEACHER-{fold}``. Without ``{fold}``, one model is scored on every fold.
        dataset: A module of ``frami.datasets``.
        data: Folder of the data set, or a folder that contains it.
        others: Further models of each fold, fused with the first.
        teacher: The model of each fold to compare with.
        report: Called with the number of finished folds; see `frami.score` for its stages.
        options: Further arguments of `frami.score`.

    Returns:
        ``folds`` (the scores of each fold, by its name), ``mean`` and ``standard_error`` (for each
        measure; the error is None for one fold), ``clips``, ``fingerprints`` (of the models of
        each fold, without the teacher), and ``missing_folds``: the folds without a model, with the
        folder that is not there.

    Raises:
        UsageError: No fold has a model, or `frami.score` refuses one.
    """
    compared = [teacher] if teacher is not None else []
    models, missing = models_of_folds((model, *others, *compared), dataset, data)
    scores, fingerprints = {}, {}
    report(0)
    for fold, names in models.items():
        first, *rest = map(load, names)
        own = rest.pop() if compared else None
        fingerprints[fold] = [one.fingerprint for one in (first, *rest)]
        scores[fold] = score(
            first, dataset, data, test_fold=fold, others=rest, teacher=own, report=report, **options
        )
        report(len(scores), f"fold {fold}")
    return {**summarize_folds(scores), "fingerprints": fingerprints, "missing_folds": missing}


def models_of_folds(
    patterns: Sequence[str | Path], dataset: str, data: str | Path | None = None
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return the models of each fold, and the folder that is not there of each other fold.

    Args:
        patterns: Folders of models, maybe with ``{fold}``.
        dataset: A module of ``frami.datasets``.
        data: Folder of the data set, or a folder that contains it.

    Raises:
        UsageError: No fold has all of its models.
    """
    folds = load_dataset(dataset).test_folds(find_data_folder(dataset, data))
    names = [str(pattern) for pattern in patterns]
    models = {fold: [name.replace(PLACEHOLDER, fold) for name in names] for fold in folds}
    missing = {
        fold: path
        for fold, paths in models.items()
        for name, path in zip(names, paths, strict=True)
        if PLACEHOLDER in name and not (expand(path) / DESCRIPTION_FILE).is_file()
    }
    if len(missing) == len(folds):
        raise UsageError(
            f"No fold of {dataset} has a model: there is no {preview(list(missing.values()))}. "
            f"Write {PLACEHOLDER} where the name of the fold is, as in TEACHER-{PLACEHOLDER}."
        )
    return {fold: models[fold] for fold in folds if fold not in missing}, missing


def summarize_folds(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the scores of folds with the mean and the standard error of each measure.

    The standard error is the standard deviation over the folds, divided by the square root of their
    number. Folds share training clips, so it is somewhat too small.
    """
    columns: dict[str, list[float]] = {}
    for one in scores.values():
        for name, value in one.items():
            if isinstance(value, float):
                columns.setdefault(name, []).append(value)
    return {
        "mean": {name: statistics.fmean(values) for name, values in columns.items()},
        "standard_error": {name: _standard_error(values) for name, values in columns.items()},
        "clips": sum(one["clips"] for one in scores.values()),
        "folds": dict(scores),
    }


def _standard_error(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
