"""How near does a student that never heard a recording come to its teacher, and at what cost?

    frami bench --suite main|ablation|quick|cpu|gpu|tags|scenes|events [--data DIR]

What is finished is not done again, so a bench may be collected over several sittings (`frami.bench.measure`);
with --resume, rows that the page has with the same settings are kept even where the models they were measured on are gone.
Scores are those of the last step on the held-out fold; the page says what settings were chosen by. Writes bench.csv,
and bench.md and pictures from it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path

from frami.bench import plots, report
from frami.bench.experiment import Experiment
from frami.bench.measure import Bench
from frami.bench.suites import SUITES
from frami.core import files, registry
from frami.core.errors import FramiError, OperationError, UsageError, unknown_name
from frami.data.splits import find_data_folder, load_split
from frami.evaluate import events
from frami.evaluate.scores import MEASURE_TITLES

KEY = ("suite", "task", "fold", "teacher", "student", "source", "seed")


def list_experiments(
    suite: str, tasks: Collection[str] = (), seeds: int | None = None, first: int = 0
) -> list[Experiment]:
    """Return the rows of a suite in order.

    Args:
        suite: A name of ``SUITES``.
        tasks: Data sets to keep; empty keeps all.
        seeds: Number of seeds; None leaves the suite's own. Of a seed that the suite has not, the rows are those of seed 0.
        first: The first seed; without ``seeds``, the suite's own are counted from it.

    Raises:
        WrongUse: the suite has no such task.
    """
    every = list(SUITES[suite]())
    known = {piece.task.dataset for piece in every}
    for task in tasks:
        if task not in known:
            raise unknown_name(f"task in suite {suite}:", task, known)
    chosen = [piece for piece in every if not tasks or piece.task.dataset in tasks]
    if seeds is None:
        return [replace(piece, seed=first + piece.seed) for piece in chosen]
    own = {piece.seed for piece in chosen}
    return [
        replace(piece, seed=number)
        for number in range(first, first + seeds)
        for piece in chosen
        if piece.seed == (number if number in own else 0)
    ]


def missing_experiments(wanted: list[Experiment], page: Path) -> list[Experiment]:
    """Return the pieces whose rows are not in bench.csv, or are there with another budget or other settings."""
    rows = read_rows(page)
    return [piece for piece in wanted if not _is_of(rows.get(_key(piece)), piece)]


def run_bench(
    wanted: list[Experiment], where: Bench, page: Path, say: Callable[[str], None]
) -> None:
    """Measure pieces, and write the page anew after each.

    Args:
        wanted: What to measure.
        where: Where, and on what.
        page: Folder of bench.csv, bench.md and the pictures; rows that are there already are kept, or replaced.
        say: Told of each row.

    Raises:
        WrongUse: recordings that a row needs are not there.
        Failed: rows could not be measured; all others are.
    """
    _check_recordings(wanted, where.data)
    files.ensure_dir(page)
    read_rows(page)
    failed = 0
    for number, piece in enumerate(wanted, 1):
        of = f"{number}/{len(wanted)} {piece.task.name} fold {piece.task.fold} seed {piece.seed}"
        of += f": {piece.student.name} from {piece.source.name}"
        try:
            row = {name: str(value) for name, value in where.measure(piece).items()}
        except FramiError as error:
            failed += 1
            say(f"{of}: not measured. {error}")
            continue
        # Another process may have added rows, or be about to.
        with files.exclusive(page):
            write_report(page, read_rows(page) | {tuple(row[name] for name in KEY): row})
        name = report.main_measure(row)
        say(f"{of}: {MEASURE_TITLES.get(name, name)} {float(row[name]):.4f}")
    if failed:
        raise OperationError(
            f"{failed} of {len(wanted)} rows could not be measured; what was said of them is above."
        )


def _key(piece: Experiment) -> tuple[str, ...]:
    of = piece.suite, piece.task.name, piece.task.fold, piece.task.network
    return *of, piece.student.name, piece.source.name, str(piece.seed)


def _is_of(row: Mapping[str, str] | None, piece: Experiment) -> bool:
    budget = str(piece.clips), str(piece.task.steps), piece.settings
    # Rows of an earlier version say no more than that.
    return (
        row is not None
        and (row["clips"], row["steps"], row["settings"]) == budget
        and row.get("identity", "") in ("", piece.identity)
    )


def _check_recordings(wanted: list[Experiment], data: str | None) -> None:
    """Tell what is not there before hours of work."""
    if any(piece.task.kind == "sound-events" for piece in wanted):
        events.import_scorers()
    for dataset, fold in dict.fromkeys(
        (piece.task.mixture or piece.task).held_out for piece in wanted
    ):
        load_split(dataset, data, test_fold=fold)
    for other in dict.fromkeys(str(piece.source.synthesis.get("dataset", "")) for piece in wanted):
        if other and not registry.load("datasets", other).test_folds(find_data_folder(other, data)):
            raise UsageError(
                f"There is nothing of {other} in {data}; rows that learn from other sounds need it."
            )


def read_rows(page: Path) -> dict[tuple[str, ...], dict[str, str]]:
    """Return the rows of bench.csv by what they are of."""
    path = page / "bench.csv"
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if rows.fieldnames and not set(KEY) <= set(rows.fieldnames):
            raise OperationError(
                f"{path} is no table of frami bench: it lacks some of {', '.join(KEY)}; name another --page."
            )
        return {tuple(row[name] for name in KEY): row for row in rows}


def write_report(page: Path, rows: dict[tuple[str, ...], dict[str, str]]) -> None:
    """Write bench.csv, bench.md and the pictures."""
    files.ensure_dir(page)
    listed = list(rows.values())
    files.write_bytes(page / "bench.csv", _csv(listed).encode())
    costs = page / "speed.md"
    text = report.render_report(
        listed, costs.read_text(encoding="utf-8") if costs.is_file() else ""
    )
    files.write_bytes(page / "bench.md", (text + "\n").encode())
    plots.write_plots(listed, page)


def _csv(rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    # Rows of other tasks have other measures.
    names = dict.fromkeys([*KEY, *(name for row in rows for name in row)])
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
