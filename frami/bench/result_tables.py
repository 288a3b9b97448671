"""Tables of benchmark rows: one line per training source, averaged over seeds and folds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from frami.bench.comparison import clear_winner
from frami.bench.rows import (
    CLOSENESS,
    Row,
    by_pair,
    compared_measures,
    group_by,
    main_measure,
    measures_with,
    pair_key,
    pairs,
    same_teacher,
    spread,
)
from frami.bench.sources import FRAMI, RECORDINGS
from frami.evaluate.scores import measure_title

Cells = dict[str, str]

MAX_COLUMNS = 12
SOURCE = "training source"
# Columns that go above the table if they have one value.
CAPTION = ("parameters", "synthetic clips", "steps", "runs")
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
    "target agreement",
    "parameters",
    "segment error rate",
    "divergence",
    "of the teacher",
)
STALE = " †"


def results_table(rows: Sequence[Row]) -> str:
    """Return the Markdown table of one student, with the teacher in the first line."""
    main = main_measure(rows[0])
    others = [
        name
        for name in (*measures_with(main), *CLOSENESS, "coverage", "target_agreement")
        if name != main and any(row.get(name) for row in rows)
    ]
    bold = {
        name: clear_winner(rows, name) for name in (main, *others) if name in (main, *CLOSENESS)
    }
    lines = []
    for key, group in group_by(rows, "source", "settings").items():
        cells = _student_cells(rows, group, main, others)
        for name in (name for name, winner in bold.items() if winner == key):
            cells[_title(name)] = f"**{cells[_title(name)]}**"
        lines += [cells, *_transductive_cells(group, main)]
    caption, columns = _columns(lines, _title(main))
    teachers = _teacher_cells(rows, [main, *others])
    body = [[line.get(name, "") for name in columns] for line in [*teachers, *lines]]
    cells_of_lines = [columns, ["---"] * len(columns), *body]
    table = "\n".join("| " + " | ".join(line) + " |" for line in cells_of_lines)
    return f"{caption}\n\n{table}" if caption else table


def _title(name: str) -> str:
    return CLOSENESS[name].title if name in CLOSENESS else measure_title(name)


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
    upper = by_pair(row for row in rows if row["source"] == RECORDINGS.name)
    cells = {
        SOURCE: f"{first['source']}{settings}{stale}",
        "parameters": first["parameters"],
        "synthetic clips": first["clips"] if first["clips"] != "0" else "",
        "steps": first["steps"],
        _title(main): _values(group, main),
        "of the teacher": _ratio(group, main, lambda row: float(row[f"teacher_{main}"])),
        "of the upper bound": _ratio(group, main, partial(_upper_score, upper, main)),
        **{_title(name): _values(group, name) for name in others},
    }
    if main == "psds1":
        ratio = _ratio(group, "psds2", partial(_upper_score, upper, "psds2"))
        cells["of the upper bound, PSDS2"] = ratio
    return cells | _gains(rows, group) | _costs(group)


def _transductive_cells(group: Sequence[Row], main: str) -> list[Cells]:
    """Return the line of students whose batch norms take the statistics of the test batch."""
    values = _values(group, "transductive")
    return [{SOURCE: f"{group[0]['source']}, transductive", _title(main): values}] if values else []


def _gains(rows: Sequence[Row], group: Sequence[Row]) -> Cells:
    """Return the gains over the baseline row; without a baseline, those over FRAMI."""
    baselines = list(dict.fromkeys(filter(None, (row.get("baseline") for row in rows))))
    baseline = group[0].get("baseline", "")
    if not baselines and any(row["source"] == FRAMI.name for row in rows):
        baselines = [FRAMI.name]
        baseline = "" if group[0]["source"] == FRAMI.name else FRAMI.name
    of_baseline = [row for row in rows if row["source"] == baseline]
    cells = {}
    for name in compared_measures(rows) if baselines else ():
        gains = [own - other for own, other in pairs(group, of_baseline, name)]
        gain = spread(gains) if gains else ""
        if len(baselines) == 1:
            cells[f"gain in {_title(name)} over {baselines[0]}"] = gain
        else:
            cells[f"gain in {_title(name)}"] = f"{gain} over {baseline}" if gain else ""
    return cells


def _costs(group: Sequence[Row]) -> Cells:
    def mean(name: str) -> str:
        return f"{statistics.mean(float(row[name]) for row in group):.0f}"

    return {
        "CPU s, clips": mean("synthesis_cpu_s") if group[0]["clips"] != "0" else "",
        "CPU s, distillation": mean("distillation_cpu_s"),
        "peak MB": f"{max(float(row['peak_mb']) for row in group):.0f}",
        "runs": str(len(group)),
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
                cells[_title(measure)] = _spread_of_seeds(group, f"teacher_{measure}")
        lines.append(cells)
    return lines


def _spread_of_seeds(rows: Sequence[Row], column: str) -> str:
    """Return mean and standard error over folds and seeds of a teacher's score.

    A teacher may have been trained again for some rows; the most frequent score of a seed counts.
    """
    by_seed = group_by([row for row in rows if row.get(column)], "fold", "seed").values()
    return spread(statistics.mode(float(row[column]) for row in of_seed) for of_seed in by_seed)


def _values(rows: Sequence[Row], name: str) -> str:
    values = [float(row[name]) for row in rows if row.get(name)]
    return spread(values) if values else ""


def _upper_score(upper: Mapping[tuple[str, ...], Row], name: str, row: Row) -> float:
    """Return the score of a row's upper bound: 0 if there is none, NaN if it is not comparable."""
    bound = upper.get(pair_key(row))
    if not bound:
        return 0.0
    comparable = same_teacher(bound, row) and bound["steps"] == row["steps"]
    return float(bound[name]) if comparable else math.nan


def _ratio(rows: Sequence[Row], name: str, whole: Callable[[Row], float]) -> str:
    parts = [float(row[name]) / whole(row) for row in rows if whole(row)]
    return spread(parts) if parts and not any(map(math.isnan, parts)) else ""
