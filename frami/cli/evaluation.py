"""What the command `evaluate` does: score one fold or all, and write and print the scores."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from frami.cli import output
from frami.core.errors import UsageError
from frami.core.text import count, to_bytes

if TYPE_CHECKING:
    from frami.evaluate.complexity import Budget
    from frami.evaluate.event_frames import Events
    from frami.models.model import Model


class ScoreArguments(TypedDict):
    """What `evaluate` passes on to `frami.score`, apart from the fold."""

    dataset: str
    data: str | None
    labels: str | None
    allow_subset: bool
    strict: bool
    device: str
    threads: int | None


def evaluate_fold(
    settings: dict[str, Any], test_fold: str, json_file: str | None, arguments: ScoreArguments
) -> None:
    """Score models on one fold; write and print the scores."""
    from frami.core.progress import show_stages
    from frami.core.run import make_record
    from frami.evaluate.scores import score
    from frami.models.model import load

    began = time.monotonic()
    models = [load(name) for name in (settings["model"], *settings["others"])]
    teacher = load(settings["teacher"]) if settings["teacher"] else None
    output.echo_budget(_find_budget(settings), *models)
    with show_stages() as report:
        scores = score(
            models[0],
            others=models[1:],
            teacher=teacher,
            test_fold=test_fold,
            report=report,
            **arguments,
        )
    fingerprints = [one.fingerprint for one in models]
    settings |= {"test_fold": test_fold, "fingerprints": fingerprints}
    if teacher is not None:
        settings["teacher_fingerprint"] = teacher.fingerprint
    record = make_record("evaluate", settings, began, fingerprint=fingerprints[0])
    path = Path(json_file or f"runs/evaluate-{record['id']}.json")
    _write_scores(path, scores | {"run": record})
    _print_scores(scores, arguments["dataset"], test_fold)
    output.show(f"All scores are in {path}.")
    if "events" in scores:
        output.show(_write_events(path, models[0], scores["events"], arguments, test_fold))


def evaluate_all_folds(
    settings: dict[str, Any], json_file: str | None, arguments: ScoreArguments
) -> Path:
    """Score the models of all folds, print the scores, and return the file that holds them."""
    from frami.core.progress import show_progress
    from frami.core.run import make_record
    from frami.data.recordings import load_dataset
    from frami.data.splits import find_data_folder
    from frami.evaluate.all_folds import score_all_folds
    from frami.reporting.tables import folds_sentence, folds_table

    began = time.monotonic()
    dataset, data = arguments["dataset"], arguments["data"]
    _check_budgets(settings, dataset, data)
    folds = load_dataset(dataset).test_folds(find_data_folder(dataset, data))
    with show_progress("evaluation", len(folds)) as report:
        result = score_all_folds(
            settings["model"],
            others=settings["others"],
            teacher=settings["teacher"],
            report=report,
            **arguments,
        )
    fingerprints = dict.fromkeys(chain.from_iterable(result["fingerprints"].values()))
    settings |= {"all_folds": True, "fingerprints": list(fingerprints)}
    record = make_record("evaluate", settings, began)
    path = Path(json_file or f"runs/evaluate-{record['id']}.json")
    _write_scores(path, result | {"run": record})
    for line in folds_table(result):
        output.show(line)
    output.echo(folds_sentence(result, dataset))
    return path


def _find_budget(settings: Mapping[str, Any]) -> Budget | None:
    from frami.evaluate.complexity import find_budget

    return find_budget(*(settings[name] for name in ("budget", "max_kb", "max_mmacs")))


def _check_budgets(settings: Mapping[str, Any], dataset: str, data: str | None) -> None:
    """Print how much of a budget the models of each fold take; refuse those that exceed it."""
    from frami.evaluate.all_folds import models_of_folds
    from frami.models.model import load

    budget = _find_budget(settings)
    if budget is not None:
        patterns = settings["model"], *settings["others"]
        for fold, names in models_of_folds(patterns, dataset, data)[0].items():
            output.echo(f"Fold {fold}:")
            output.echo_budget(budget, *map(load, names))


def check_json_path(path: Path) -> None:
    """Refuse a path that is not for a JSON file; create its folder."""
    from frami.core import files

    if path.is_dir() or path.suffix in (".tsv", ".png"):
        raise UsageError(
            f"`json_file` is {path}, a folder, a table or a picture; name a .json file."
        )
    files.ensure_dir(path.parent)


def _write_scores(path: Path, content: Mapping[str, Any]) -> None:
    from frami.core import files

    files.ensure_dir(path.parent)
    files.write_json(path, content)


def _print_scores(scores: Mapping[str, Any], dataset: str, test_fold: str) -> None:
    """Print the scores of each class, then those of all clips."""
    from frami.evaluate.scores import measure_title
    from frami.reporting.tables import mistakes_table, per_class_table

    for line in (*per_class_table(scores), *mistakes_table(scores)):
        output.show(line)
    values = ", ".join(
        f"{measure_title(name)} {value:.4f}"
        for name, value in scores.items()
        if isinstance(value, float)
    )
    sentence = f"{values} on {count(scores['clips'], 'clip')} of {dataset}, fold {test_fold}."
    output.echo(f"{sentence} {scores['missing']}".rstrip())


def _write_events(
    path: Path,
    model: Model,
    events: Mapping[str, Events],
    arguments: ScoreArguments,
    test_fold: str,
) -> str:
    """Write a detector's events as a table and as a picture; return a sentence that names both."""
    from frami.core import files
    from frami.data.splits import load_split, split_for_task
    from frami.reporting import charts
    from frami.reporting.inspect import draw_event_rolls
    from frami.reporting.tables import events_tsv

    # Data sets keep their annotations in tables with plain names.
    stem = path.name.removesuffix(".json")
    table, picture = path.with_name(f"{stem}.events.tsv"), path.with_name(f"{stem}.events.png")
    split = load_split(arguments["dataset"], arguments["data"], test_fold=test_fold)
    files.write_bytes(table, to_bytes(events_tsv(events)))
    chart = draw_event_rolls(model, split_for_task(split, model.task), events)
    files.write_bytes(picture, charts.to_png(chart))
    return f"The events are in {table}; {picture} shows those of some clips."
