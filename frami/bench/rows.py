"""Rows of bench.csv: their main measure, groups, and the spread of their values."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping

from frami.evaluate.metric import Measure
from frami.evaluate.scores import measures_of
from frami.models.tasks import TASKS

Row = dict[str, str]


def main_measure(row: Row) -> str:
    """Return the measure that a row is compared by: the first of its task."""
    first_measures = (next(iter(measures_of(task))) for task in TASKS)
    return next(name for name in first_measures if row.get(name))


def measures_with(name: str) -> Mapping[str, Measure]:
    """Return all measures of the task that a measure belongs to."""
    return next(measures_of(task) for task in TASKS if name in measures_of(task))


def group_by(rows: Iterable[Row], *keys: str) -> dict[tuple[str, ...], list[Row]]:
    """Return rows grouped by the values of some columns, in order of appearance."""
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in keys)].append(row)
    return groups


def spread(values: Iterable[float]) -> str:
    """Return mean and standard deviation, or the only value.

    >>> spread([0.5]), spread([0.5, 0.6])
    ('0.500', '0.550 ± 0.071')
    """
    numbers = list(values)
    mean = f"{statistics.mean(numbers):.3f}"
    return mean if len(numbers) == 1 else f"{mean} ± {statistics.stdev(numbers):.3f}"
