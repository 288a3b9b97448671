"""Scores and events as tables of text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from frami.core.text import count, format_table
from frami.evaluate.event_frames import Events
from frami.evaluate.scores import measure_title


def per_class_table(scores: Mapping[str, Any]) -> list[str]:
    """Return the scores per class as lines of a table, with the lowest scores first."""
    rows = scores["per_class"]
    names = list(next(iter(rows.values())))
    main_measure = names[1]  # the first column is the number of clips or events
    heads = ["", *(measure_title(name) for name in names)]
    by_score = sorted(rows.items(), key=lambda item: item[1][main_measure])
    body = [[label, *map(_format_value, row.values())] for label, row in by_score]
    return format_table([heads, *body])


def _format_value(value: float | int) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def mistakes_table(scores: Mapping[str, Any]) -> list[str]:
    """Return the worst mistakes as lines of a table; no lines if there is no mistake."""
    rows = [
        (one["clip"], one["truth"], one["answer"], _format_value(one["probability"]))
        for one in scores["mistakes"]
    ]
    heads = ("clip", "truth", "answer", "probability")
    return ["Worst mistakes:", *format_table([heads, *rows])] if rows else []


def folds_table(result: Mapping[str, Any]) -> list[str]:
    """Return the scores of each fold as lines of a table (`score_all_folds`)."""
    measures = list(result["mean"])
    rows = [
        (fold, str(scores["clips"]), *(_format_value(scores[name]) for name in measures))
        for fold, scores in result["folds"].items()
    ]
    return format_table([("fold", "clips", *map(measure_title, measures)), *rows])


def folds_sentence(result: Mapping[str, Any], dataset: str) -> str:
    """Return the mean and standard error over folds, and what is missing, one a line."""
    values = []
    for name, mean in result["mean"].items():
        error = result["standard_error"][name]
        spread = "" if error is None else f" +- {error:.4f}"
        values.append(f"{measure_title(name)} {mean:.4f}{spread}")
    folds = result["folds"].values()
    notes = [
        f"{', '.join(values)} (mean and standard error over {count(len(folds), 'fold')}) on "
        f"{count(result['clips'], 'clip')} of {dataset}.",
        *(f"Fold {n} is left out: there is no {p}." for n, p in result["missing_folds"].items()),
        *(scores["missing"] for scores in folds),
    ]
    return "\n".join(filter(None, dict.fromkeys(notes)))


def events_tsv(events_by_clip: Mapping[str, Events]) -> str:
    """Return events as the tab-separated table of DCASE task 4, with file names without folders."""
    rows = [
        f"{Path(name).name}\t{onset:.3f}\t{offset:.3f}\t{label}"
        for name, clip_events in events_by_clip.items()
        for onset, offset, label in clip_events
    ]
    return "\n".join(["filename\tonset\toffset\tevent_label", *rows]) + "\n"
