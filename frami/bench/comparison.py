"""Who is ahead: FRAMI against its controls and rivals, by differences of pairs of rows.

Rows of one student, fold, seed and teacher are a pair. A difference counts if its mean is more than
two standard errors away from 0, over three pairs or more.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from frami.bench.rows import (
    Pairs,
    Row,
    compared_measures,
    group_by,
    measure,
    pairs,
    standard_error,
)
from frami.bench.sources import FRAMI, FRAMI_LARGER, OTHER_RECORDINGS

MIN_PAIRS, MIN_ERRORS = 3, 2.0
Match = tuple[str, Sequence[Row], Sequence[Row]]  # a rival, FRAMI's rows, and the rival's


def lead_sentence(rows: Sequence[Row]) -> str:
    """Return a bold sentence on where FRAMI loses and leads; empty if there is no comparison.

    It compares FRAMI with all others of the table that read no recording of the task: controls and
    other methods. The larger row of FRAMI is compared with those that cost as much CPU time or
    more, the row "FRAMI" with the rest. Other forms of FRAMI do not count.

    Args:
        rows: The rows of one table.
    """
    by_source = group_by(rows, "source")
    own, larger = (by_source.get((one.name,), []) for one in (FRAMI, FRAMI_LARGER))
    matches = [
        (source, larger if larger and _cost(larger) <= _cost(others) else own, others)
        for (source,), others in group_by(filter(_is_rival, rows), "source").items()
    ]
    found: dict[str, list[str]] = {"loses": [], "leads": [], "is level": []}
    names = compared_measures(rows)
    if any(row.get("divergence_unheard") for row in rows):
        names.append("divergence_unheard")
    for name in names:
        if best := _furthest_ahead(matches, name):
            verdict, clause = _clause(name, *best)
            found[verdict].append(clause)
    sentences: list[str] = []
    for verdict, clauses in found.items():
        if clauses:
            here = " here:" if verdict == "loses" else ""
            who = "It" if sentences else "FRAMI"
            sentences.append(f"{who} {verdict}{here} {' and '.join(clauses)}.")
    return f"**{' '.join(sentences)}**" if sentences else ""


def _is_rival(row: Row) -> bool:
    is_frami = row["source"].startswith(FRAMI.name) or row.get("baseline")
    return row["clips"] != "0" and not is_frami


def _cost(rows: Sequence[Row]) -> float:
    """Return the mean CPU seconds of clips and student."""
    return statistics.mean(
        float(row["synthesis_cpu_s"]) + float(row["distillation_cpu_s"]) for row in rows
    )


def _furthest_ahead(matches: Sequence[Match], name: str) -> tuple[str, Pairs] | None:
    """Return the rival with the largest mean advantage over FRAMI, and the values of both."""
    found = [(source, pairs(own, others, name)) for source, own, others in matches]
    found = [(source, values) for source, values in found if values]
    return min(found, key=lambda item: statistics.mean(_gains(item[1], name)), default=None)


def _gains(values: Pairs, name: str) -> list[float]:
    """Return how much better the first of each pair is."""
    sign = -1 if measure(name).lower_is_better else 1
    return [sign * (first - second) for first, second in values]


def _clause(name: str, rival: str, values: Pairs) -> tuple[str, str]:
    """Return the verdict on FRAMI in one measure, and the clause that says it."""
    own, other = (f"{statistics.mean(each):.3f}" for each in zip(*values, strict=True))
    is_ahead = statistics.mean(_gains(values, name)) > 0
    verdict, to = ("leads", "over") if is_ahead else ("loses", "to")
    if own == other:
        verdict, to = "is level", "with"
    means = f"{own} against {other}"
    title = measure(name).title.replace(", unheard", " on unheard recordings")
    return verdict, f"in {title} {to} {rival} ({means}, {_distance(_gains(values, name))})"


def _distance(gains: Sequence[float]) -> str:
    """Return the mean of paired differences in standard errors, or the number of few pairs."""
    if len(gains) < MIN_PAIRS:
        return "one pair" if len(gains) == 1 else f"{len(gains)} pairs"
    error = standard_error(gains)
    if not error:
        return f"the same in all {len(gains)} pairs"
    return f"{abs(statistics.mean(gains)) / error:.1f} standard errors"


def clear_winner(rows: Sequence[Row], name: str) -> tuple[str, ...] | None:
    """Return source and settings of the best students without recordings, if they are clearly best.

    They are if the paired difference to the next best, over three pairs or more, is above two
    standard errors.
    """
    groups = {
        key: [row for row in group if row.get(name)]
        for key, group in group_by(rows, "source", "settings").items()
        if group[0]["clips"] != "0" and not key[0].startswith(OTHER_RECORDINGS)
    }
    means = {
        key: statistics.mean(float(row[name]) for row in group)
        for key, group in groups.items()
        if group
    }
    order = sorted(means, key=means.__getitem__, reverse=not measure(name).lower_is_better)
    if len(order) < 2:
        return None
    best, next_best = order[:2]
    gains = _gains(pairs(groups[best], groups[next_best], name), name)
    if len(gains) < MIN_PAIRS:
        return None
    return best if statistics.mean(gains) > MIN_ERRORS * standard_error(gains) else None
