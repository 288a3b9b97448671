"""The file of results, one JSON object a line, and the tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass
class Outcome:
    """How a trial ended.

    Attributes:
        hits: How often the fault struck.
        refused: How often a command ended with a sentence.
        lost: What was lost or wrong; empty if nothing was.
        skipped: Why there was no trial; empty if there was one.
    """

    hits: int = 0
    refused: int = 0
    lost: str = ""
    skipped: str = ""


@dataclass(frozen=True)
class Result:
    """A trial that was made: its job, its kind, its number, and how it ended."""

    job: str
    kind: str
    index: int
    outcome: Outcome


def read_results(path: Path) -> list[Result]:
    """Return the results in a file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    rows = [json.loads(line) for line in lines]
    return [Result(**{**row, "outcome": Outcome(**row["outcome"])}) for row in rows]


def add_result(path: Path, result: Result) -> None:
    """Add a result to a file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(result)) + "\n")


def tables(results: Iterable[Result], kinds: Sequence[str], jobs: Sequence[str]) -> str:
    """Return the results by kind and by job, as Markdown."""
    made = [result for result in results if not result.outcome.skipped]
    by_kind = [(kind, [one for one in made if one.kind == kind]) for kind in kinds]
    by_job = [(job, [one for one in made if one.job == job]) for job in jobs]
    parts = [_table("fault", [*by_kind, ("all", made)]), _table("command", by_job)]
    return "\n\n".join(parts)


def _table(title: str, groups: Sequence[tuple[str, Sequence[Result]]]) -> str:
    lines = [
        f"| {title} | trials | times it struck | ended with a sentence | lost or wrong |",
        "|---|---|---|---|---|",
    ]
    for name, group in groups:
        if group:
            hits = sum(one.outcome.hits for one in group)
            refused = sum(one.outcome.refused for one in group)
            lost = sum(bool(one.outcome.lost) for one in group)
            lines.append(f"| {name} | {len(group)} | {hits:,} | {refused} | {lost} |")
    return "\n".join(lines)
