"""The commands that examine models, stores and runs: `evaluate` and `inspect`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import click

from frami.cli import options, types
from frami.cli.help import Command
from frami.core.errors import UsageError

if TYPE_CHECKING:
    from frami.evaluate.events import Events
    from frami.models.model import Model


class ScoreArguments(TypedDict):
    """What `evaluate` passes on to `frami.score`."""

    dataset: str
    data: str | None
    test_fold: str
    device: str
    threads: int | None


@click.command(
    cls=Command,
    examples={
        "Score a student on fold 5 of ESC-50.": "frami evaluate student --dataset esc50 "
        "--data DIR --test-fold 5",
        "Fuse two students and choose the file of scores.": "frami evaluate student "
        "--with other --dataset esc50 --data DIR --test-fold 5 --json scores.json",
    },
)
@click.argument("model", type=types.MODEL)
@options.option(
    "--with",
    "others",
    section="Input",
    multiple=True,
    type=types.MODEL,
    metavar="MODEL",
    help="Another model to fuse with the first. Repeat the option to fuse several.",
)
@options.trust_option
@options.recording_options(required=True)
@options.budget_option
@options.option(
    "--json",
    "json_file",
    section="Output",
    type=types.FOLDER,
    metavar="FILE",
    help="File to write the scores and their record to.",
    default_text="runs/evaluate-ID.json",
)
@options.runtime_options
def evaluate(
    model: str,
    others: tuple[str, ...],
    budget: str | None,
    json_file: str | None,
    seed: int,
    **arguments: Unpack[ScoreArguments],
) -> None:
    """Score a model on held-out recordings.

    MODEL is the folder of a bundle, or digits, which ships with frami. The scores are printed for
    each class and for all clips, and written to a JSON file. Models that are fused predict the mean
    of their probabilities. For a detector, the events are written as a table and a picture as well.
    """
    from frami.core.run import make_record
    from frami.evaluate.scores import score
    from frami.models.model import load

    if json_file is not None:  # refused before minutes of reading recordings
        _check_json_path(Path(json_file))
    began = time.monotonic()
    models = [load(name) for name in (model, *others)]
    options.echo_budget(budget, *models)
    scores = score(models[0], others=models[1:], **arguments)
    settings = {
        "model": model,
        "fingerprints": [one.fingerprint for one in models],
        "budget": budget,
        "seed": seed,
        "others": others,
        **arguments,
    }
    record = make_record("evaluate", settings, began, fingerprint=models[0].fingerprint)
    path = Path(json_file or f"runs/evaluate-{record['id']}.json")
    _write_scores(path, scores | {"run": record})
    _print_scores(scores, arguments["dataset"], arguments["test_fold"])
    click.echo(f"All scores are in {path}.")
    if "events" in scores:
        click.echo(_write_events(path, models[0], scores["events"], arguments))
    options.echo_next("inspect", model)


def _check_json_path(path: Path) -> None:
    from frami.core import files

    if path.is_dir() or path.suffix in (".tsv", ".png"):
        raise UsageError(
            f"`json_file` is {path}, a folder, a table or a picture; name a .json file."
        )
    files.ensure_dir(path.parent)


def _write_scores(path: Path, content: Mapping[str, Any]) -> None:
    from frami.core import files

    files.ensure_dir(path.parent)
    files.write_json(path, content)


def _print_scores(scores: Mapping[str, Any], dataset: str, test_fold: str) -> None:
    """Print the scores of each class, then those of all clips."""
    from frami.evaluate.scores import measure_title
    from frami.reporting.tables import per_class_table

    for line in per_class_table(scores):
        click.echo(line)
    values = ", ".join(
        f"{measure_title(name)} {value:.4f}"
        for name, value in scores.items()
        if isinstance(value, float)
    )
    sentence = f"{values} on {scores['clips']} clips of {dataset}, fold {test_fold}."
    options.echo(f"{sentence} {scores['missing']}".rstrip())


def _write_events(
    path: Path, model: Model, events: Mapping[str, Events], arguments: ScoreArguments
) -> str:
    """Write a detector's events as a table and as a picture; return a sentence that names both."""
    from frami.core import files
    from frami.data.splits import load_split, split_for_task
    from frami.reporting import charts
    from frami.reporting.inspect import draw_event_rolls
    from frami.reporting.tables import events_tsv

    # Data sets keep their annotations in tables with plain names.
    stem = path.name.removesuffix(".json")
    table, picture = path.with_name(f"{stem}.events.tsv"), path.with_name(f"{stem}.events.png")
    split = load_split(arguments["dataset"], arguments["data"], test_fold=arguments["test_fold"])
    files.write_bytes(table, events_tsv(events).encode())
    chart = draw_event_rolls(model, split_for_task(split, model.task), events)
    files.write_bytes(picture, charts.to_png(chart))
    return f"The events are in {table}; {picture} shows those of some clips."


class InspectArguments(TypedDict):
    """What `inspect` passes on to `frami.inspect`."""

    dataset: str | None
    data: str | None
    test_fold: str | None
    teacher: str | None
    device: str


@click.command(
    cls=Command,
    examples={
        "Describe the model that ships with frami.": "frami inspect digits",
        "Draw the clips of a store and write their sounds.": "frami inspect samples.h5 "
        "--out pictures",
    },
)
@click.argument("path", type=types.FOLDER)
@options.option(
    "--teacher",
    section="Input",
    type=types.MODEL,
    metavar="MODEL",
    help="With a store: the model whose features are drawn as a map, e.g. the teacher.",
)
@options.trust_option
@options.recording_options(required=False)
@options.option(
    "--out",
    section="Output",
    type=types.FOLDER,
    metavar="FOLDER",
    help="Folder to write pictures to, and sounds if PATH is a store.",
)
@options.runtime_options
def inspect(
    path: str,
    out: str | None,
    seed: int,
    threads: int | None,
    **arguments: Unpack[InspectArguments],
) -> None:
    """Describe a bundle, a store or a run on one screen.

    PATH is the folder of a bundle or of a run, a store (.h5), or digits, which ships with frami.
    With --out, pictures are written too. With --dataset, they show recordings beside the clips.
    """
    from frami.core import files
    from frami.core.run import make_record
    from frami.core.runtime import select_runtime
    from frami.reporting.inspect import inspect as run_inspect

    began = time.monotonic()
    select_runtime(arguments["device"], threads)
    click.echo(run_inspect(path, out, **arguments))
    if out is None:
        options.echo_next("inspect", path, "--out", "pictures")
        return
    settings = {"path": path, "out": out, "seed": seed, "threads": threads, **arguments}
    record = make_record("inspect", settings, began)
    files.write_json(files.ensure_dir(out) / "inspect.json", record)
