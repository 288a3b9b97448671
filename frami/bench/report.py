"""From the rows of bench.csv to bench.md, prose included."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib import resources

from frami.bench import suites
from frami.bench.measure import TASK_MEASURES
from frami.evaluate.scores import MEASURE_TITLES

Row = dict[str, str]

# How to read the page; and what was tried, so that nobody has to try it again unawares.
INTRODUCTION, TRIED = (
    resources.files("frami.evaluate") / name for name in ("bench-notes.md", "tried.md")
)

# Suites that compare methods.
COMPARED = ("quick", "cpu", "gpu")
COSTS = ("synthesis_s", "distillation_s", "synthesis_cpu_s", "distillation_cpu_s", "cpu_ms_a_clip")
TITLES = {
    "main": "FRAMI against its bounds",
    "ablation": "What each part of FRAMI brings",
    "quick": "Every method on generated tones (a trial of the bench, no result)",
    "cpu": "Every method, small budgets",
    "gpu": "Every method, full budgets",
    "tags": "Tags of synthetic mixtures: similarities of clips and of frames",
    "scenes": "One second of ESC-50 within the budget of DCASE 2023 task 1: the teacher's embedding",
    "events": "Events in synthetic mixtures: dual distillation, and several teachers",
}


def render_report(rows: list[Row], costs: str = "") -> str:
    """Return the page; ``costs`` is the table of `frami.bench.speed`."""
    parts = ["# Bench", INTRODUCTION.read_text(encoding="utf-8").rstrip()]
    for (suite,), of_suite in group_by(
        [row for name in TITLES for row in rows if row["suite"] == name], "suite"
    ).items():
        machines = ", or ".join(sorted({row["machine"] for row in of_suite}))
        parts += [
            f"## {TITLES[suite]}",
            f"`frami bench --suite {suite}`, on {machines}, bfloat16 where it gains.",
        ]
        for (task, fold, teacher), group in group_by(of_suite, "task", "fold", "teacher").items():
            parts += _task(suite, task, fold, teacher, group)
    if costs:
        parts += ["## What a step and a clip cost", costs.rstrip()]
    return "\n\n".join([*parts, TRIED.read_text(encoding="utf-8").rstrip()])


def main_measure(row: Row) -> str:
    """Return the measure by which a row is compared with others: the first of its task's."""
    return next(names[0] for names in TASK_MEASURES.values() if row.get(names[0]))


def _title(measure: str) -> str:
    return MEASURE_TITLES.get(measure, measure.replace("_", " "))


def _task(suite: str, task: str, fold: str, teacher: str, rows: list[Row]) -> list[str]:
    aim = next((t for t in (piece.task for piece in suites.main()) if t.dataset == task), None)
    says = []
    if suite == "main" and aim is not None:
        least = f"teacher {aim.target_teacher}, " if aim.target_teacher else ""
        says = [f"Aim: {least}FRAMI {aim.target_ratio} of the teacher in {aim.minutes} minutes."]
    picture = (
        [f"![accuracy against cost]({picture_name(suite, task, fold, teacher)})"]
        if suite in COMPARED
        else []
    )
    return [f"### {task}, fold {fold}", *says, _table(rows), *picture]


def _values(rows: list[Row], name: str) -> str:
    listed = [float(row[name]) for row in rows if row.get(name)]
    return spread(listed) if listed else ""


def _by_pair(rows: list[Row]) -> dict[tuple[str, str], Row]:
    """Return rows by student and seed: those of one pair began alike."""
    return {(row["student"], row["seed"]): row for row in rows}


def _of_upper(upper: Mapping[tuple[str, str], Row], name: str, row: Row) -> float:
    bound = upper.get((row["student"], row["seed"]))
    if not bound:
        return 0.0
    return (
        float(bound[name])
        if _same_teacher(bound, row) and bound["steps"] == row["steps"]
        else math.nan
    )


def _same_teacher(one: Row, other: Row) -> bool:
    """Tell whether two rows had the same teacher: one that was gone and was trained anew, on another machine, is another.

    Of rows with more or wider teachers it cannot be told, and is not doubted.
    """
    main = f"teacher_{main_measure(one)}"
    return one[main] == other[main] or one["teacher_parameters"] != other["teacher_parameters"]


def _gain(rows: list[Row], group: list[Row], name: str) -> str:
    """Return by how much some rows are above those that they are told over, seed by seed."""
    over = group[0].get("baseline")
    others = _by_pair([row for row in rows if row["source"] == over])
    pairs = [(row, others.get((row["student"], row["seed"]))) for row in group]
    gains = [
        float(row[name]) - float(other[name])
        for row, other in pairs
        if other and _same_teacher(row, other)
    ]
    return f"{spread(gains)} over {over}" if gains else ""


def _ratio(rows: list[Row], name: str, whole: Callable[[Row], float]) -> str:
    parts = [float(row[name]) / whole(row) for row in rows if whole(row)]
    return spread(parts) if parts and not any(map(math.isnan, parts)) else ""


def _table(rows: list[Row]) -> str:
    main = main_measure(rows[0])
    measures = next(names for names in TASK_MEASURES.values() if names[0] == main)
    others = [
        name
        for name in (*measures[1:], "agreement", "coverage", "target_agreement")
        if any(row.get(name) for row in rows)
    ]
    together = [row for of_student in group_by(rows, "student").values() for row in of_student]
    lines = [
        _line(rows, group, main, others)
        for group in group_by(together, "student", "source", "settings").values()
    ]
    heads, teachers = list(lines[0]), _teachers(rows, [main, *others])
    cells = [
        heads,
        ["---"] * len(heads),
        *([line.get(head, "") for head in heads] for line in [*teachers, *lines]),
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def _line(rows: list[Row], group: list[Row], main: str, others: list[str]) -> dict[str, str]:
    """Return the cells of one student of one source, all seeds, by their heads."""
    first = group[0]
    upper = _by_pair([row for row in rows if row["source"] == suites.RECORDINGS.name])
    cells = {
        "student": first["student"],
        "parameters": first["parameters"],
        "learns from": first["source"] + (f" ({first['settings']})" if first["settings"] else ""),
        "clips": first["clips"] if first["clips"] != "0" else "",
        "steps": first["steps"],
        _title(main): _values(group, main),
        "of the teacher": _ratio(group, main, lambda row: float(row[f"teacher_{main}"])),
        **{_title(name): _values(group, name) for name in others},
        "of the upper bound": _ratio(group, main, partial(_of_upper, upper, main)),
    }
    if main == "psds1":
        cells[f"of the upper bound, {_title('psds2')}"] = _ratio(
            group, "psds2", partial(_of_upper, upper, "psds2")
        )
    if any(row.get("baseline") for row in rows):
        gained = [name for name in (main, "agreement") if first.get(name)]
        cells |= {f"gain in {_title(name)}": _gain(rows, group, name) for name in gained}
    return cells | _costs(group)


def _costs(group: list[Row]) -> dict[str, str]:
    cost = {name: statistics.mean(float(row[name]) for row in group) for name in COSTS}
    return {
        "synthesis CPU s": f"{cost['synthesis_cpu_s']:.0f}",
        "distillation CPU s": f"{cost['distillation_cpu_s']:.0f}",
        "CPU ms a clip": f"{cost['cpu_ms_a_clip']:.0f}",
        "minutes": f"{(cost['synthesis_s'] + cost['distillation_s']) / 60:.1f}",
        "peak MB": f"{max(float(row['peak_mb']) for row in group):.0f}",
        "seeds": str(len(group)),
    }


def _teachers(rows: list[Row], measures: list[str]) -> list[dict[str, str]]:
    """Return the cells of the teacher, by their heads; then, where some rows have several, those of the best of them."""
    lines: list[dict[str, str]] = []
    for (parameters,), taught in sorted(
        group_by(rows, "teacher_parameters").items(), key=lambda each: int(each[0][0])
    ):
        name = "(the best of several teachers)" if lines else f"(teacher) {rows[0]['teacher']}"
        cells = {"student": name, "parameters": parameters, "learns from": "recordings"}
        for measure in measures:
            of_seeds = group_by(
                [row for row in taught if row.get(f"teacher_{measure}")], "seed"
            ).values()
            if of_seeds:
                # One that was gone, and was trained again for some rows, is another.
                cells[_title(measure)] = spread(
                    statistics.mode(float(row[f"teacher_{measure}"]) for row in of_seed)
                    for of_seed in of_seeds
                )
        lines.append(cells)
    return lines


def spread(values: Iterable[float]) -> str:
    """Return mean and standard deviation, or the one value.

    >>> spread([0.5]), spread([0.5, 0.6])
    ('0.500', '0.550 ± 0.071')
    """
    listed = list(values)
    mean = f"{statistics.mean(listed):.3f}"
    return mean if len(listed) == 1 else f"{mean} ± {statistics.stdev(listed):.3f}"


def group_by(rows: Iterable[Row], *keys: str) -> dict[tuple[str, ...], list[Row]]:
    """Return the rows by what they have in common, in order of appearance."""
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in keys)].append(row)
    return groups


def picture_name(suite: str, task: str, fold: str, teacher: str) -> str:
    """Return the name of the picture of a table."""
    return f"bench-{suite}-{task}-{fold}-{teacher}.png"
