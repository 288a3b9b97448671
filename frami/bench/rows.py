"""Rows of bench.csv: their measures, groups, pairs, and the mean and standard error of values."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from frami.evaluate.metric import Measure
from frami.evaluate.scores import measures_of
from frami.models.tasks import TASKS

Row = dict[str, str]
Pairs = list[tuple[float, float]]

# Measures of how close a student is to its teacher, for all tasks.
CLOSENESS = {
    "agreement": Measure("agreement"),
    "agreement_unheard": Measure("agreement, unheard"),
    "divergence": Measure("divergence", lower_is_better=True),
    "divergence_unheard": Measure("divergence, unheard", lower_is_better=True),
}
# The folds of these data sets are pooled in the suites of the published tables. FSDD's fold takes
# is a split of its own.
POOLED_SUITES = ("release", "full", "audiomnist")
POOLED_FOLDS = {"esc50": "all", "fsdd": "speakers", "audiomnist": "all"}
FOLD_TITLES = {"all": "all folds", "speakers": "each speaker held out"}


def main_measure(row: Row) -> str:
    """Return the measure that a row is compared by: the first of its task."""
    first_measures = (next(iter(measures_of(task))) for task in TASKS)
    return next(name for name in first_measures if row.get(name))


def measures_with(name: str) -> Mapping[str, Measure]:
    """Return all measures of the task that a measure belongs to."""
    return next(measures_of(task) for task in TASKS if name in measures_of(task))


def measure(name: str) -> Measure:
    """Return a measure of any task, or of the closeness to the teacher."""
    return CLOSENESS[name] if name in CLOSENESS else measures_with(name)[name]


def compared_measures(rows: Sequence[Row]) -> list[str]:
    """Return the measures that rows are compared by: the main one, and agreement with the teacher.

    Agreement is that on all recordings that no student read, where rows have it.
    """
    agreements = ("agreement_unheard", "agreement")
    found = [name for name in agreements if any(row.get(name) for row in rows)]
    return [main_measure(rows[0]), *found[:1]]


def group_by(rows: Iterable[Row], *keys: str) -> dict[tuple[str, ...], list[Row]]:
    """Return rows grouped by the values of some columns, in order of appearance."""
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in keys)].append(row)
    return groups


def sections(rows: Iterable[Row]) -> dict[tuple[str, ...], list[Row]]:
    """Return rows by suite, data set, folds and teacher; see `POOLED_FOLDS`."""
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        fold = row["fold"]
        if row["suite"] in POOLED_SUITES and fold != "takes":
            fold = POOLED_FOLDS.get(row["dataset"], fold)
        groups[row["suite"], row["dataset"], fold, row["teacher"]].append(row)
    return groups


def fold_title(fold: str) -> str:
    """Return the folds of a section in words.

    >>> fold_title("5"), fold_title("all")
    ('fold 5', 'all folds')
    """
    return FOLD_TITLES.get(fold, f"fold {fold}")


def pairs(rows: Iterable[Row], others: Iterable[Row], name: str) -> Pairs:
    """Return the values of a measure in rows of one student, fold, seed and teacher."""
    partners = by_pair(row for row in others if row.get(name))
    found = [(row, partners.get(pair_key(row))) for row in rows if row.get(name)]
    return [
        (float(row[name]), float(other[name]))
        for row, other in found
        if other and same_teacher(row, other)
    ]


def by_pair(rows: Iterable[Row]) -> dict[tuple[str, ...], Row]:
    """Return rows by student, fold and seed; rows of one pair start from the same weights."""
    return {pair_key(row): row for row in rows}


def pair_key(row: Row) -> tuple[str, ...]:
    """Return what the rows of a pair have in common."""
    return row["student"], row["fold"], row["seed"]


def same_teacher(row: Row, other: Row) -> bool:
    """Return whether two rows had the same teacher, judged by its score.

    A teacher that was trained again on another machine has another score. Rows whose teachers have
    different numbers of parameters cannot be judged and count as comparable.
    """
    score = f"teacher_{main_measure(row)}"
    return row[score] == other[score] or row["teacher_parameters"] != other["teacher_parameters"]


def standard_error(values: Sequence[float]) -> float:
    """Return the standard error of the mean of two values or more."""
    return statistics.stdev(values) / math.sqrt(len(values))


def spread(values: Iterable[float]) -> str:
    """Return mean and standard error, or the only value.

    >>> spread([0.5]), spread([0.5, 0.6])
    ('0.500', '0.550 ± 0.050')
    """
    numbers = list(values)
    mean = f"{statistics.mean(numbers):.3f}"
    return mean if len(numbers) == 1 else f"{mean} ± {standard_error(numbers):.3f}"
