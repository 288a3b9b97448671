"""Run benchmarks: how close does a data-free student come to its teacher, and at what cost?

    frami bench --suite NAME [--data DIR]     NAME: see `frami.bench.suites.SUITES`

Finished teachers, stores and students are reused, so a benchmark may be interrupted and resumed
(`frami.bench.artifacts`). With ``--resume``, rows of bench.csv with the same settings are kept even
if their models are gone. Scores are those of the last step on the test fold. Each new row is
written to bench.csv; bench.md, foreign.md and the plots are regenerated from it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from frami.bench import foreign_page, plots, report
from frami.bench.experiment import Experiment
from frami.bench.measure import Bench
from frami.bench.rows import Row, main_measure
from frami.bench.sharing import row_number, take_turns
from frami.bench.suites import SUITES
from frami.core import files, locks
from frami.core.code import trusting_code
from frami.core.errors import FramiError, OperationError, Stopped, UsageError, unknown_name
from frami.core.shards import Shard
from frami.core.text import count
from frami.data.recordings import load_dataset
from frami.data.splits import find_data_folder, load_split
from frami.evaluate import events
from frami.evaluate.scores import measure_title
from frami.reporting.untrusted import read_csv

KEY = ("suite", "dataset", "fold", "teacher", "student", "source", "seed")

Key = tuple[str, ...]


def list_experiments(
    suite: str, datasets: Collection[str] = (), seeds: int | None = None, first: int = 0
) -> list[Experiment]:
    """Return the experiments of a suite, in order.

    Args:
        suite: A name of ``SUITES``.
        datasets: Data sets to keep; empty keeps all.
        seeds: Number of seeds; None takes the suite's own. For a seed that the suite does not
            contain, the experiments of seed 0 are run with that seed.
        first: The first seed; without ``seeds``, it is added to the suite's own seeds.

    Raises:
        UsageError: If the suite has no such data set.
    """
    experiments = list(SUITES[suite]())
    known = {experiment.task.dataset for experiment in experiments}
    for dataset in datasets:
        if dataset not in known:
            raise unknown_name(f"data set in suite {suite}:", dataset, known)
    selected = [e for e in experiments if not datasets or e.task.dataset in datasets]
    if seeds is None:
        return [replace(experiment, seed=first + experiment.seed) for experiment in selected]
    suite_seeds = {experiment.seed for experiment in selected}
    return [
        replace(experiment, seed=seed)
        for seed in range(first, first + seeds)
        for experiment in selected
        if experiment.seed == (seed if seed in suite_seeds else 0)
    ]


def missing_experiments(experiments: Iterable[Experiment], page: Path) -> list[Experiment]:
    """Return the experiments without a row in bench.csv that has the same budget and settings."""
    rows = read_rows(page)
    return [e for e in experiments if not _matches(rows.get(row_key(e)), e)]


def own_experiments(experiments: Iterable[Experiment], shard: Shard | None) -> list[Experiment]:
    """Return the experiments of a shard; all without one.

    A row is dealt by its key columns, so it stays with its shard if a suite grows.
    """
    if shard is None:
        return list(experiments)
    return [e for e in experiments if row_number(row_key(e)) % shard.count == shard.index - 1]


def run_bench(
    experiments: Sequence[Experiment], bench: Bench, page: Path, say: Callable[[str], None]
) -> None:
    """Measure experiments, and write the page again after each.

    Several processes may share a page (`frami.bench.sharing`).

    Args:
        experiments: What to measure.
        bench: Where the recordings and results are, and which device is used.
        page: Folder of bench.csv, bench.md and the plots. Rows of other experiments are kept.
        say: Called with one line of text per experiment.

    Raises:
        UsageError: If recordings that an experiment needs are missing.
        OperationError: If some experiments failed; all others were measured.
        Stopped: The time of the bench was over.
    """
    _check_recordings(experiments, bench.data)
    files.ensure_dir(page)
    read_rows(page)  # refuses a bench.csv of another kind before hours of work
    total = len(experiments)
    titles = [f"{index}/{total} {_describe(one)}" for index, one in enumerate(experiments, 1)]
    n_failed = 0
    turns = take_turns(
        [row_key(experiment) for experiment in experiments],
        page,
        lambda index: not missing_experiments([experiments[index]], page),
        lambda index: say(f"{titles[index]}: another process measures it."),
    )
    for n_done, index in enumerate(turns):
        left = f"{total - n_done:,} of {count(total, 'row')}"
        if bench.deadline.has_passed:
            raise bench.deadline.stop(left)
        try:
            _measure(experiments[index], bench, page, titles[index], say)
        except Stopped as error:
            raise bench.deadline.stop(left) from error
        except FramiError as error:
            n_failed += 1
            say(f"{titles[index]}: failed. {error}")
    if n_failed:
        raise OperationError(
            f"{n_failed} of {total} rows could not be measured; the reasons are above."
        )


def _measure(
    experiment: Experiment, bench: Bench, page: Path, title: str, say: Callable[[str], None]
) -> None:
    """Measure a row and write it to the page."""
    with trusting_code():  # of teachers that the suite foreign has adopted itself
        row = {name: str(value) for name, value in bench.measure(experiment).items()}
    # Another process may have added rows since, or be about to.
    with locks.exclusive(page):
        write_report(page, read_rows(page) | {tuple(row[name] for name in KEY): row})
    name = main_measure(row)
    say(f"{title}: {measure_title(name)} {float(row[name]):.4f}")


def _describe(experiment: Experiment) -> str:
    task = experiment.task
    place = f"{task.name} fold {task.fold} seed {experiment.seed}"
    return f"{place}: {experiment.student.name} from {experiment.source.name}"


def row_key(experiment: Experiment) -> Key:
    """Return the values of the key columns of an experiment's row."""
    task, student = experiment.task, experiment.student.name
    data = (experiment.suite, task.name, task.fold, task.network)
    return (*data, student, experiment.source.name, str(experiment.seed))


def _matches(row: Mapping[str, str] | None, experiment: Experiment) -> bool:
    """Return whether a row has an experiment's budget, settings and identity."""
    if row is None:
        return False
    budget = str(experiment.clips), str(experiment.task.steps), experiment.settings
    # A row without an identity is compared by its budget alone.
    return (row["clips"], row["steps"], row["settings"]) == budget and row.get("identity", "") in (
        "",
        experiment.identity,
    )


def _check_recordings(experiments: Sequence[Experiment], data: str | None) -> None:
    """Raise before hours of work if recordings or packages are missing."""
    if any(experiment.task.model_task == "sound-events" for experiment in experiments):
        events.import_scorers()
    for dataset, fold in dict.fromkeys((e.task.mixture or e.task).held_out for e in experiments):
        load_split(dataset, data, test_fold=fold)
    others = dict.fromkeys(str(e.source.synthesis.get("dataset", "")) for e in experiments)
    for other in filter(None, others):
        if not load_dataset(other).test_folds(find_data_folder(other, data)):
            raise UsageError(
                f"{data} has no recordings of {other}; rows that train on other sounds need them."
            )


def read_rows(page: Path) -> dict[Key, Row]:
    """Return the rows of bench.csv by the values of their key columns."""
    rows = read_csv(page, "bench.csv")
    if rows and (missing := ", ".join(name for name in KEY if name not in rows[0])):
        raise OperationError(
            f"{page / 'bench.csv'} is not a table of frami bench: columns are missing ({missing}). "
            f"Choose another `page`."
        )
    return {tuple(row[name] for name in KEY): row for row in rows}


def write_report(page: Path, rows: Mapping[Key, Row]) -> None:
    """Write bench.csv, bench.md, foreign.md and the plots."""
    files.ensure_dir(page)
    row_list = list(rows.values())
    files.write_bytes(page / "bench.csv", _to_csv(row_list).encode())
    if foreign := foreign_page.render_page(row_list):
        files.write_bytes(page / "foreign.md", foreign.encode())
    text = report.render_report(
        row_list,
        speed_table=_read_text(page / "speed.md"),
        note=_first_paragraph(_read_text(page / "bench-notes.md")),
        links=_links(page),
    )
    files.write_bytes(page / "bench.md", (text + "\n").encode())
    plots.write_plots(row_list, page)


def _read_text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _first_paragraph(text: str) -> str:
    """Return the first paragraph of a Markdown page that is not a heading."""
    paragraphs = (paragraph.strip() for paragraph in text.split("\n\n"))
    return next((text for text in paragraphs if text and not text.startswith("#")), "")


def _links(page: Path) -> str:
    """Return links to the handwritten pages that lie beside bench.md."""
    pages = {
        "bench-notes.md": "how the rows were measured",
        "findings.md": "what the rows show",
        "foreign.md": "classifiers that were built and trained elsewhere",
        "tried.md": "what was tried without gain",
    }
    links = [f"[{title}]({name})" for name, title in pages.items() if (page / name).is_file()]
    return f"Further pages: {', '.join(links)}." if links else ""


def _to_csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    # Rows of other tasks have other measures.
    names = dict.fromkeys([*KEY, *(name for row in rows for name in row)])
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
