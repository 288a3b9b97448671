"""Tables of benchmark rows: one line per training source, averaged over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from frami.bench import suites
from frami.bench.measure import best
from frami.bench.rows import Row, group_by, main_measure, measures_with, spread
from frami.evaluate.scores import measure_title

Cells = dict[str, str]

MAX_COLUMNS = 10
SOURCE = "training source"
# Columns that go above the table if they have one value.
CAPTION = ("parameters", "synthetic clips", "steps", "seeds")
# Columns from left to right; "{main}" is the measure that rows are compared by.
ORDER = (
    SOURCE,
    "parameters",
    "synthetic clips",
    "steps",
    "{main}",
    "of the teacher",
    "of the upper bound",
)
# Columns that are left out first if there are too many.
LEAST_IMPORTANT = (
    "peak MB",
    "coverage",
    "macro-F1",
    "minutes",
    "parameters",
    "target agreement",
    "CPU ms per clip",
    "segment error rate",
)
STALE = " †"


def lead_sentence(rows: Sequence[Row]) -> str:
    """Return a bold sentence on the best student without recordings; empty if there is none."""
    measure = main_measure(rows[0])
    groups = [
        group
        for group in group_by(rows, "student", "source", "settings").values()
        if group[0]["clips"] != "0" and not group[0]["source"].startswith("other recordings")
    ]
    if not groups:
        return ""
    means = [statistics.mean(float(row[measure]) for row in group) for group in groups]
    top = groups[means.index(best(measures_with(measure)[measure], means))]
    first, title = top[0], measure_title(measure)
    teacher = _spread_of_seeds(top, f"teacher_{measure}")
    bounds = [
        row
        for row in rows
        if row["source"] == suites.RECORDINGS.name
        and (row["student"], row["steps"]) == (first["student"], first["steps"])
    ]
    bound = f"; from recordings {_values(bounds, measure)}" if bounds else ""
    return (
        f"**Best without recordings: {first['source']} (student {first['student']}): "
        f"{title} {_values(top, measure)}; teacher {teacher}{bound}.**"
    )


def results_table(rows: Sequence[Row]) -> str:
    """Return the Markdown table of one student, with the teacher in the first line."""
    main = main_measure(rows[0])
    others = [
        name
        for name in (*measures_with(main), "agreement", "coverage", "target_agreement")
        if name != main and any(row.get(name) for row in rows)
    ]
    lines = [
        _student_cells(rows, group, main, others)
        for group in group_by(rows, "source", "settings").values()
    ]
    caption, columns = _columns(lines, measure_title(main))
    teachers = _teacher_cells(rows, [main, *others])
    body = [[line.get(name, "") for name in columns] for line in [*teachers, *lines]]
    cells = [columns, ["---"] * len(columns), *body]
    table = "\n".join("| " + " | ".join(line) + " |" for line in cells)
    return f"{caption}\n\n{table}" if caption else table


def _columns(lines: Sequence[Cells], main: str) -> tuple[str, list[str]]:
    """Return the caption of the constant columns, and the names of the columns to show."""
    names = list(dict.fromkeys(name for line in lines for name in line))
    values = {name: {line[name] for line in lines if line.get(name)} for name in names}
    constant = [name for name in CAPTION if len(values[name]) == 1]
    caption = ", ".join(f"{name} {next(iter(values[name]))}" for name in constant)
    shown = [name for name in names if values[name] and name not in constant]
    for name in LEAST_IMPORTANT:
        if len(shown) > MAX_COLUMNS and name in shown:
            shown.remove(name)
    first = [name.format(main=main) for name in ORDER]
    return (
        f"All rows: {caption}." if caption else "",
        [name for name in first if name in shown] + [name for name in shown if name not in first],
    )


def _student_cells(
    rows: Sequence[Row], group: Sequence[Row], main: str, others: Sequence[str]
) -> Cells:
    """Return the cells of one training source, over all seeds, by column."""
    first = group[0]
    stale = STALE if any(row.get("identity") == "" for row in group) else ""
    settings = f" ({first['settings']})" if first["settings"] else ""
    upper = _by_pair([row for row in rows if row["source"] == suites.RECORDINGS.name])
    cells = {
        SOURCE: f"{first['source']}{settings}{stale}",
        "parameters": first["parameters"],
        "synthetic clips": first["clips"] if first["clips"] != "0" else "",
        "steps": first["steps"],
        measure_title(main): _values(group, main),
        "of the teacher": _ratio(group, main, lambda row: float(row[f"teacher_{main}"])),
        "of the upper bound": _ratio(group, main, partial(_upper_score, upper, main)),
        **{measure_title(name): _values(group, name) for name in others},
    }
    if main == "psds1":
        ratio = _ratio(group, "psds2", partial(_upper_score, upper, "psds2"))
        cells["of the upper bound, PSDS2"] = ratio
    return cells | _gains(rows, group, main) | _costs(group)


def _gains(rows: Sequence[Row], group: Sequence[Row], main: str) -> Cells:
    """Return the gains over the baseline row, paired by seed."""
    baselines = {row.get("baseline") for row in rows} - {None, ""}
    cells = {}
    for name in (main, "agreement"):
        if not any(row.get(name) for row in rows):
            continue
        gain, baseline = _gain(rows, group, name), group[0].get("baseline", "")
        if len(baselines) == 1:
            cells[f"gain in {measure_title(name)} over {next(iter(baselines))}"] = gain
        else:
            cells[f"gain in {measure_title(name)}"] = f"{gain} over {baseline}" if gain else ""
    return cells if baselines else {}


def _gain(rows: Sequence[Row], group: Sequence[Row], name: str) -> str:
    baseline = _by_pair([row for row in rows if row["source"] == group[0].get("baseline")])
    pairs = [(row, baseline.get((row["student"], row["seed"]))) for row in group]
    gains = [
        float(row[name]) - float(other[name])
        for row, other in pairs
        if other and _same_teacher(row, other)
    ]
    return spread(gains) if gains else ""


def _costs(group: Sequence[Row]) -> Cells:
    def mean(name: str) -> float:
        return statistics.mean(float(row[name]) for row in group)

    per_clip = mean("cpu_ms_a_clip")
    return {
        "CPU ms per clip": f"{per_clip:.0f}" if group[0]["clips"] != "0" else "",
        "minutes": f"{(mean('synthesis_s') + mean('distillation_s')) / 60:.1f}",
        "peak MB": f"{max(float(row['peak_mb']) for row in group):.0f}",
        "seeds": str(len(group)),
    }


def _teacher_cells(rows: Sequence[Row], measures: Sequence[str]) -> list[Cells]:
    """Return the cells of the teacher, and of the best of several teachers where rows have them."""
    lines: list[Cells] = []
    by_size = group_by(rows, "teacher_parameters")
    for (parameters,), group in sorted(by_size.items(), key=lambda item: int(item[0][0])):
        name = "(the best of several teachers)" if lines else f"(teacher) {rows[0]['teacher']}"
        cells = {SOURCE: name, "parameters": parameters}
        for measure in measures:
            if any(row.get(f"teacher_{measure}") for row in group):
                cells[measure_title(measure)] = _spread_of_seeds(group, f"teacher_{measure}")
        lines.append(cells)
    return lines


def _spread_of_seeds(rows: Sequence[Row], column: str) -> str:
    """Return mean and deviation over seeds of a teacher's score.

    A teacher may have been trained again for some rows; the most frequent score of a seed counts.
    """
    by_seed = group_by([row for row in rows if row.get(column)], "seed").values()
    return spread(statistics.mode(float(row[column]) for row in of_seed) for of_seed in by_seed)


def _values(rows: Sequence[Row], name: str) -> str:
    values = [float(row[name]) for row in rows if row.get(name)]
    return spread(values) if values else ""


def _by_pair(rows: Iterable[Row]) -> dict[tuple[str, str], Row]:
    """Return rows by student and seed; rows of one pair start from the same weights."""
    return {(row["student"], row["seed"]): row for row in rows}


def _upper_score(upper: Mapping[tuple[str, str], Row], name: str, row: Row) -> float:
    """Return the score of a row's upper bound: 0 if there is none, NaN if it is not comparable."""
    bound = upper.get((row["student"], row["seed"]))
    if not bound:
        return 0.0
    comparable = _same_teacher(bound, row) and bound["steps"] == row["steps"]
    return float(bound[name]) if comparable else math.nan


def _same_teacher(row: Row, other: Row) -> bool:
    """Return whether two rows had the same teacher, judged by its score.

    A teacher that was trained again on another machine has another score. Rows whose teachers have
    different numbers of parameters cannot be judged and count as comparable.
    """
    score = f"teacher_{main_measure(row)}"
    return row[score] == other[score] or row["teacher_parameters"] != other["teacher_parameters"]


def _ratio(rows: Sequence[Row], name: str, whole: Callable[[Row], float]) -> str:
    parts = [float(row[name]) / whole(row) for row in rows if whole(row)]
    return spread(parts) if parts and not any(map(math.isnan, parts)) else ""
