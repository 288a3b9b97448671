"""The pictures and tables of a report's page, from its runs and its models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from markupsafe import Markup
from numpy.typing import NDArray
from torch import Tensor

from frami.audio.frontend import FrontEnd
from frami.core.errors import FramiError
from frami.data.clips import Clips
from frami.data.store import Store
from frami.evaluate import complexity
from frami.evaluate.event_frames import Events, frame_edges, threshold_events
from frami.models.model import Model
from frami.models.network import frozen
from frami.reporting import charts, cost_chart, event_rolls, feature_map
from frami.reporting.found_runs import FoundRun
from frami.reporting.inline import page_theme, to_svg
from frami.reporting.page_tables import Table, make_table, to_number
from frami.reporting.untrusted import MAX_LOSSES, is_number, mapping, sequence, shown

MAX_POINTS = 400  # of a curve
MAX_MATRIX = 60  # classes of a confusion matrix that are drawn
MAX_COSTS = 12  # charts of accuracy against cost
MAX_SOURCES = 100  # points of such a chart
N_EVENT_CLIPS = 3
COST_GROUP = ("suite", "dataset", "fold", "teacher", "student")
COST_NUMBERS = (
    *("accuracy", "teacher_accuracy", "agreement_unheard"),
    *(f"{part}_{unit}" for part in ("synthesis", "distillation") for unit in ("s", "cpu_s")),
)
COST_COLUMNS = ("suite", "dataset", "fold", "teacher", "student", "source", "seed", "settings")


def draw_losses(run: FoundRun) -> list[Markup]:
    """Return a chart of each loss of a run."""
    rows = run.losses
    time = "round" if rows and "round" in rows[0] else "step"
    charts_of_run = []
    for name in charts.loss_names([{time: 0.0, **row} for row in rows])[:MAX_LOSSES]:
        points = [{time: row.get(time, 0.0), name: row[name]} for row in rows if name in row]
        points = [*points[: -1 : max(1, len(points) // MAX_POINTS)], points[-1]]
        with page_theme():
            figure = charts.loss_curves(points)
        ends = f"from {points[0][name]:.3g} to {points[-1][name]:.3g}"
        title = f"{name.replace('_', ' ')} by {time}, {ends}"
        charts_of_run.append(to_svg(figure, title))
    return charts_of_run


def draw_map(model: Model, store: Store, real: Clips | None) -> Markup:
    """Return the map of the clips of a store, and of recordings if there are any."""
    with page_theme():
        figure = feature_map.feature_map(model, store, real)
    circles = " Circles are recordings." if real is not None else ""
    return to_svg(figure, f"Map of pooled features; crosses are synthetic clips.{circles}")


def draw_confusion(content: Mapping[str, Any]) -> Markup | None:
    """Return the confusion matrix of scores; None without one, or with one that is too large."""
    counts = sequence(content.get("confusion"))
    rows = [[float(n) for n in sequence(row) if is_number(n)] for row in counts]
    if not 2 <= len(rows) <= MAX_MATRIX or any(len(row) != len(rows) for row in rows):
        return None
    # The labels of a model do not do: the data set may have others, or another order of them.
    labels, per_class = sequence(content.get("labels")), mapping(content.get("per_class"))
    named = ([*map(shown, names)] for names in (labels, per_class) if len(names) == len(rows))
    labels = next(named, [str(k) for k in range(len(rows))])
    with page_theme():
        figure = charts.confusion_matrix(labels, np.array(rows))
    return to_svg(figure, "Confusion matrix: true class by row, predicted class by column")


def draw_events(model: Model | None, store: Store) -> Markup:
    """Return clips of a detector's store with their target events, and those that a model finds."""
    indices = range(min(N_EVENT_CLIPS, len(store)))
    clips = [(f"clip {index}", store.mel(index)) for index in indices]
    target = {name: _target_events(store, index) for index, (name, _) in enumerate(clips)}
    found = {name: [] if model is None else _find_events(model, mel) for name, mel in clips}
    with page_theme():
        figure = event_rolls.event_rolls(
            clips, store.front_end, store.labels, target, found, ("target", "detected")
        )
    return to_svg(figure, "Spectrograms of synthetic clips, with target and detected events")


def _target_events(store: Store, index: int) -> Events:
    active = store.target(index).numpy().T.astype(float)
    return _to_events(active, len(active), store.front_end, store.labels)


def _find_events(model: Model, mel: Tensor) -> Events:
    with torch.inference_mode(), frozen(model.network):
        frame_logits = model.network(mel.unsqueeze(0)).frame_logits
    if frame_logits is None:
        return []
    probabilities = frame_logits[0].double().sigmoid().numpy().T
    return _to_events(probabilities, mel.shape[1], model.front_end, model.labels)


def _to_events(
    probabilities: NDArray[np.float64], n_frames: int, front_end: FrontEnd, labels: tuple[str, ...]
) -> Events:
    """Return the events in frame probabilities ``(N', K)`` of a clip of ``n_frames`` frames."""
    hop = front_end.hop_length / front_end.sample_rate
    seconds = max(hop, front_end.seconds(n_frames))
    edges = frame_edges(len(probabilities), n_frames, hop, seconds)
    return threshold_events(probabilities[: len(edges) - 1], labels, edges)


def score_tables(run: FoundRun) -> list[Table]:
    """Return the scores of a model: all clips, each class, each fold."""
    content = run.content
    totals = {name: value for name, value in content.items() if is_number(value)}
    tables = [make_table("All clips", [totals])] if totals else []
    for name, title in (("per_class", "class"), ("folds", "fold")):
        rows = [
            {title: key, **_numbers(mapping(value))}
            for key, value in mapping(content.get(name)).items()
        ]
        if rows:
            tables.append(make_table(f"Each {title}", rows))
    return tables


def _numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if is_number(value)}


def export_tables(run: FoundRun) -> list[Table]:
    """Return the figures of the files of an export."""
    rows = []
    for row in map(mapping, sequence(run.content.get("figures"))):
        size, work = row.get("bytes", ""), row.get("multiply_adds", "")
        rows.append(
            {
                "file": row.get("name"),
                "kB": size / 1000 if is_number(size) else None,
                "M multiply-adds": work / 1e6 if is_number(work) else None,
                "ms for 1 s": row.get("milliseconds"),
                "largest difference of a logit": row.get("logit_difference"),
                "agreement with the student": row.get("student"),
                "agreement with the teacher": row.get("teacher"),
                **mapping(row.get("recordings")),
            }
        )
    return [make_table("Figures of each file", rows)] if rows else []


def complexity_table(models: Mapping[str, Model]) -> Table | None:
    """Return parameters and multiply-adds of models, by name."""
    rows = [
        {
            "model": name,
            "network": model.architecture.network or "adopted",
            "parameters": model.parameters,
            "kB at 1 byte each": round(model.parameters / 1000, 1),
            "M multiply-adds for 1 s": round(complexity.multiply_adds(model) / 1e6, 2),
        }
        for name, model in models.items()
    ]
    return make_table("Cost of each model, without the front end", rows) if rows else None


def draw_costs(run: FoundRun) -> list[tuple[str, Markup]]:
    """Return charts of accuracy against cost, by data set, fold, teacher and student."""
    groups: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for row in run.rows:
        if _can_be_drawn(row):
            names = (row.get(key, "") for key in COST_GROUP)
            groups[shown(", ".join(names))].append(row)
    charts_of_run = []
    for title, rows in list(groups.items())[:MAX_COSTS]:
        if len({row.get("source") for row in rows}) > MAX_SOURCES:
            continue
        try:
            with page_theme():
                figure = cost_chart.draw_costs(rows)
        except (KeyError, ValueError, FramiError):  # a table of a stranger
            continue
        charts_of_run.append((title, to_svg(figure, f"Accuracy against cost: {title}")))
    return charts_of_run


def _can_be_drawn(row: Mapping[str, str]) -> bool:
    """Return whether a row has its accuracies, and only numbers that axes can be drawn for."""
    numbers = {name: to_number(row.get(name)) for name in COST_NUMBERS if row.get(name)}
    in_range = all(n is not None and abs(n) <= charts.MAX_STEP for n in numbers.values())
    return in_range and {"accuracy", "teacher_accuracy"} <= numbers.keys()


def cost_table(run: FoundRun) -> Table:
    """Return the rows of a benchmark, without the columns that name machines and versions."""
    hidden = ("machine", "commit", "identity", "teacher_macro_f1")
    names = [*COST_COLUMNS, *(name for name in (run.rows or [{}])[0] if name not in COST_COLUMNS)]
    rows = [{name: row.get(name) for name in names if name not in hidden} for row in run.rows]
    return make_table("Rows of the benchmark", rows)
