"""The commands that examine models, stores and runs: `evaluate` and `inspect`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TypedDict, Unpack

import click

from frami.cli import options, output, runs, types
from frami.cli.evaluation import (
    ScoreArguments,
    check_json_path,
    evaluate_all_folds,
    evaluate_fold,
)
from frami.cli.help import Command
from frami.core.errors import UsageError


@click.command(
    cls=Command,
    examples={
        "Score a student on fold 5 of ESC-50, and compare it with its teacher.": "frami evaluate "
        "student --teacher TEACHER --dataset esc50 --data DIR --test-fold 5",
        "Score the models of all folds.": "frami evaluate 'TEACHER-{fold}' --dataset esc50 "
        "--data DIR --all-folds",
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
@options.option(
    "--teacher",
    section="Input",
    type=types.MODEL,
    metavar="MODEL",
    help="Compare with this model: agreement is the share of clips with the same answer, "
    "divergence the mean KL(teacher, model) in nats. With --labels, both are those of the models' "
    "own classes.",
)
@options.trust_option
@options.recording_options(required=True, fold_required=False)
@options.option(
    "--all-folds",
    section="Input",
    is_flag=True,
    help="Score every fold in place of one --test-fold; {fold} in a MODEL stands for its name.",
)
@options.option(
    "--labels",
    section="Input",
    type=types.FOLDER,
    metavar="FILE",
    help="Table (csv) with the columns 'model label' and 'data label', for a model that has other "
    "labels than the data set. Several labels of the model may have one of the data set.",
)
@options.option(
    "--allow-subset",
    section="Input",
    is_flag=True,
    help="Score the classes that the model and the data set share; leave out the others.",
)
@options.budget_options
@options.option(
    "--json",
    "json_file",
    section="Output",
    type=types.FOLDER,
    metavar="FILE",
    help="File to write the scores, the answer for each clip and their record to.",
    default_text="runs/evaluate-ID.json",
)
@options.runtime_options
def evaluate(
    model: str,
    others: tuple[str, ...],
    teacher: str | None,
    test_fold: str | None,
    all_folds: bool,
    budget: str | None,
    max_kb: float | None,
    max_mmacs: float | None,
    json_file: str | None,
    seed: int,
    **arguments: Unpack[ScoreArguments],
) -> None:
    """Score a model on held-out recordings.

    MODEL is the folder of a bundle, or digits, which ships with frami. The scores are printed for
    each class and for all clips, with the worst mistakes. A JSON file holds them all, with the
    answer for each clip. Models that are fused predict the mean of their probabilities. For a
    detector, the events are written as a table and a picture as well.
    """
    if json_file is not None:  # refused before minutes of reading recordings
        check_json_path(Path(json_file))
    if all_folds == (test_fold is not None):
        raise UsageError("Give either `test_fold` or `all_folds`.")
    settings = {"model": model, "others": others, "teacher": teacher, "seed": seed, **arguments}
    settings |= {"budget": budget, "max_kb": max_kb, "max_mmacs": max_mmacs}
    output.import_torch("evaluation")
    runs.check_recordings(arguments["dataset"], arguments["data"])
    if test_fold is None:
        path = evaluate_all_folds(settings, json_file, arguments)
        output.show(f"All scores are in {path}.")
        return
    evaluate_fold(settings, test_fold, json_file, arguments)
    output.echo_next("inspect", model)


class InspectArguments(TypedDict):
    """What `inspect` passes on to `frami.inspect`."""

    dataset: str | None
    data: str | None
    test_fold: str | None
    teacher: str | None
    verify: bool
    strict: bool
    device: str


@click.command(
    cls=Command,
    examples={
        "Describe the model that ships with frami.": "frami inspect digits",
        "Check all clips of a store, draw them and write their sounds.": "frami inspect "
        "samples.h5 --verify --out pictures",
    },
)
@click.argument("path", type=types.FOLDER)
@options.option(
    "--verify",
    section="Input",
    is_flag=True,
    help="With a store: read all clips and compare them with their checksums.",
)
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
    from frami.core.progress import show_stages
    from frami.core.run import make_record
    from frami.core.runtime import select_runtime
    from frami.reporting.inspect import inspect as run_inspect

    began = time.monotonic()
    select_runtime(arguments["device"], threads)
    runs.check_recordings(arguments["dataset"], arguments["data"])
    with show_stages() as report:
        description = run_inspect(path, out, report=report, **arguments)
    output.show(description)
    if out is None:
        output.echo_next("inspect", path, "--out", "pictures")
        return
    settings = {"path": path, "out": out, "seed": seed, "threads": threads, **arguments}
    record = make_record("inspect", settings, began)
    files.write_json(files.ensure_dir(out) / "inspect.json", record)
