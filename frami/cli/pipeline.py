"""From recordings to a teacher, from that to synthetic clips, from those to a student; what they are, and how good."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from frami.cli import options
from frami.core import registry
from frami.core.errors import UsageError
from frami.training.recipes import RECIPES, find_recipe


@click.command()
@options.recording_options(required=True)
@click.option(
    "--network",
    default="resnet",
    show_default=True,
    help=f"{', '.join(registry.names('teachers'))}, or a student network.",
)
@click.option("--width", type=int, help="Channels; by default the network's own choice.")
@click.option("--depth", type=int, help="Layers or blocks; by default the network's own choice.")
@click.option(
    "--filterbank",
    help="Bands of the spectrogram: mel, slaney, gammatone, constant-q. [default: mel]",
)
@click.option(
    "--pooling",
    help="How a detector's frames make up a clip: attention, average, max, linear-softmax, exponential-softmax. "
    "[default: attention]",
)
@click.option(
    "--task",
    help="single-label, multi-label or frames. [default: what the recordings are annotated for]",
)
@options.budget_option
@options.required_option("--out", type=options.PathOption(), help="Folder to write the bundle to.")
@options.runtime_options
@options.precision_option
@options.set_option
@options.list_settings_option
def train(assignments: tuple[str, ...], list_settings: bool, **arguments: Any) -> None:
    """Train a teacher, or a reference student, on recordings."""
    from frami.core.progress import show_progress
    from frami.core.settings import make_settings
    from frami.training.supervised import SupervisedSettings
    from frami.training.supervised import train as run_train

    if options.print_settings(list_settings, SupervisedSettings):
        return
    chosen = options.parse_settings(assignments, SupervisedSettings)
    with show_progress("training", make_settings(SupervisedSettings, chosen).steps) as report:
        model = run_train(**arguments, options=chosen, report=report)
    out = arguments["out"]
    click.echo(f"Teacher {model.fingerprint} ({model.parameters:,} parameters) is in {out}.")
    options.echo_budget(arguments["budget"], model)
    options.echo_next("evaluate", out, *options.recording_arguments(arguments))
    options.echo_next("synthesize", "--teacher", out, "--out", "samples.h5")


@click.command()
@options.required_option(
    "--teacher", help="A bundle's folder, or 'digits', which ships with the package."
)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=4000,
    show_default=True,
    help="Clips to make in all.",
)
@options.required_option(
    "--out", type=options.PathOption(), help="Store to write, or to go on with (HDF5)."
)
@click.option(
    "--method",
    default="frami",
    show_default=True,
    help=f"One of: {', '.join(registry.names('generators'))}.",
)
@click.option(
    "--frame-range",
    nargs=2,
    type=int,
    help="Shortest and longest clip in frames. [default: as in training; frami: 80 at most where clips have one class]",
)
@click.option(
    "--batch-size", type=click.IntRange(min=2), default=64, show_default=True, help="Clips a round."
)
@click.option(
    "--co-occurrence",
    type=float,
    default=0.0,
    show_default=True,
    help="Let tags that the teacher finds alike meet, 0 to 1000: try 5.",
)
@options.runtime_options
@options.precision_option
@options.set_option
@options.list_settings_option
def synthesize(assignments: tuple[str, ...], list_settings: bool, **arguments: Any) -> None:
    """Invert a frozen teacher into a store of synthetic spectrograms."""
    from frami.core.progress import show_progress
    from frami.core.settings import make_settings
    from frami.data.store import Store, store_run_folder
    from frami.inversion.synthesize import inversion_warnings
    from frami.inversion.synthesize import synthesize as run_synthesize
    from frami.models.model import load

    settings = registry.load("generators", arguments["method"]).Settings
    if options.print_settings(list_settings, settings):
        return
    name = arguments.pop("teacher")
    teacher = load(name)
    chosen = options.parse_settings(assignments, settings)
    for remark in inversion_warnings(teacher, make_settings(settings, chosen)):
        click.echo(remark, err=True)
    out, samples = Path(arguments["out"]), arguments["samples"]
    there = 0
    if out.is_file():
        with Store(out) as store:
            there = len(store)
    with show_progress("synthesis", samples) as report:
        store = run_synthesize(teacher, **arguments, options=chosen, report=report)
    click.echo(
        f"{len(store)} clips ({len(store) - there} new) are in {out}; the record of the run in {store_run_folder(out)}."
    )
    options.echo_next("inspect", out)
    options.echo_next(
        "distill", "--teacher", name, "--samples", out, "--student", "small", "--out", "STUDENT"
    )


@click.command()
@options.required_option(
    "--teacher",
    multiple=True,
    help="A bundle's folder, or 'digits', which ships with the package; several answer together, hidden states are the first's.",
)
@click.option(
    "--embedding-teacher",
    help="A wider model of the same front end, whose hidden states are matched in place of the teacher's.",
)
@click.option(
    "--samples",
    type=options.PathOption(),
    help="Store of synthetic clips to distil from; or --dataset.",
)
@options.recording_options(required=False)
@click.option(
    "--student",
    default="small",
    show_default=True,
    help=f"{', '.join(registry.names('students'))}, or a teacher network.",
)
@click.option("--width", type=int, help="Channels; by default the network's own choice.")
@click.option("--depth", type=int, help="Layers or blocks; by default the network's own choice.")
@click.option(
    "--recipe",
    default="frami",
    show_default=True,
    help=f"What the student is asked to match: {', '.join(RECIPES)}.",
)
@options.budget_option
@click.option(
    "--any-teacher",
    is_flag=True,
    help="Allow a store of another teacher, and a teacher that may know the fold held out.",
)
@options.required_option(
    "--out", type=options.PathOption(), help="Folder to write the student's bundle to."
)
@options.runtime_options
@options.precision_option
@options.set_option
@options.list_settings_option
def distill(assignments: tuple[str, ...], list_settings: bool, **arguments: Any) -> None:
    """Distil a student from a store (data-free), or from recordings (the upper bound)."""
    from frami.core.progress import show_progress
    from frami.core.run import read_record
    from frami.core.settings import make_settings
    from frami.training import loop
    from frami.training.distill import distill as run_distill

    weights = find_recipe(arguments["recipe"], labelled=not arguments["samples"]).weights
    if options.print_settings(list_settings, loop.TrainingSettings, weights):
        return
    chosen = options.parse_settings(assignments, loop.TrainingSettings, weights)
    steps = make_settings(
        loop.TrainingSettings,
        {name: value for name, value in chosen.items() if name not in weights},
    ).steps
    with show_progress("distillation", steps) as report:
        student = run_distill(**arguments, options=chosen, report=report)
    out = arguments["out"]
    click.echo(f"Student {student.fingerprint} ({student.parameters:,} parameters) is in {out}.")
    options.echo_budget(arguments["budget"], student)
    for name, value in read_record(out).get("scores", {}).items():
        if name != "fingerprint":
            click.echo(f"{name.replace('_', ' ')}: {value:.3f}")
    unknown = {"dataset": "DATASET", "data": "DIR", "test_fold": "FOLD"}
    options.echo_next("inspect", out)
    options.echo_next(
        "evaluate",
        out,
        *options.recording_arguments(arguments if arguments["dataset"] else unknown),
    )


@click.command()
@click.argument("model")
@click.option(
    "--with",
    "others",
    multiple=True,
    help="Another model, fused late; may be given more than once.",
)
@options.recording_options(required=True)
@options.budget_option
@click.option(
    "--json",
    "json_file",
    type=options.PathOption(),
    help="Write scores and record here. [default: runs/evaluate-ID.json]",
)
@options.runtime_options
def evaluate(
    model: str, json_file: str | None, budget: str | None, seed: int, **arguments: Any
) -> None:
    """Score a model, or several fused, on real recordings that they were not trained on."""
    from frami.core import files
    from frami.core.run import make_record
    from frami.evaluate.scores import MEASURE_TITLES, score
    from frami.models.model import load
    from frami.reporting.tables import per_class_table

    if json_file is not None:  # told before the recordings are heard
        if Path(json_file).is_dir() or Path(json_file).suffix in (".tsv", ".png"):
            raise UsageError(
                f"--json is {json_file}, a folder, a table or a picture; name a .json file."
            )
        files.ensure_dir(Path(json_file).parent)
    began = time.monotonic()
    loaded, *others = map(load, (model, *arguments["others"]))
    options.echo_budget(budget, loaded, *others)
    scores = score(loaded, **arguments | {"others": others})
    fingerprints = [one.fingerprint for one in (loaded, *others)]
    facts = {
        "model": model,
        "fingerprints": fingerprints,
        "budget": budget,
        "seed": seed,
        **arguments,
    }
    record = make_record("evaluate", facts, began, fingerprint=loaded.fingerprint)
    path = Path(json_file or f"runs/evaluate-{record['id']}.json")
    files.ensure_dir(path.parent)
    files.write_json(path, scores | {"run": record})
    beside = _events_beside(path, loaded, scores["events"], arguments) if "events" in scores else ""
    for line in per_class_table(scores):
        click.echo(line)
    numbers = [
        f"{MEASURE_TITLES.get(n, n)} {value:.4f}"
        for n, value in scores.items()
        if isinstance(value, float)
    ]
    click.echo(f"{', '.join(numbers)} on {scores['clips']} clips", nl=False)
    click.echo(
        f" of {arguments['dataset']}, fold {arguments['test_fold']}. {scores['missing']}".rstrip()
    )
    click.echo(f"All scores are in {path}{beside}.")
    options.echo_next("inspect", model)


def _events_beside(path: Path, model: Any, found: dict[str, Any], arguments: dict[str, Any]) -> str:
    """Write the events that a model finds beside its scores, as a table and as a picture; say where."""
    from frami.core import files
    from frami.data.splits import load_split, split_for_task
    from frami.reporting import charts
    from frami.reporting.inspect import draw_event_rolls
    from frami.reporting.tables import events_tsv

    # Data sets keep what is annotated in tables of the plain name.
    table, picture = (
        path.with_name(path.name.removesuffix(".json") + end)
        for end in (".events.tsv", ".events.png")
    )
    split = load_split(arguments["dataset"], arguments["data"], test_fold=arguments["test_fold"])
    files.write_bytes(table, events_tsv(found).encode())
    files.write_bytes(
        picture, charts.to_png(draw_event_rolls(model, split_for_task(split, model.task), found))
    )
    return f", the events found in {table}; {picture} draws those of some clips"


@click.command()
@click.argument("path", type=options.PathOption())
@click.option(
    "--out", type=options.PathOption(), help="Folder to write its pictures (and sounds) to."
)
@click.option(
    "--teacher",
    help="Model that hears a store's clips, such as their teacher: adds the map of its features.",
)
@options.recording_options(required=False)
@options.runtime_options
def inspect(
    path: str, out: str | None, seed: int, device: str, threads: int | None, **arguments: Any
) -> None:
    """Say what a bundle, a store or a run is, in one screen."""
    from frami.core import files
    from frami.core.run import make_record
    from frami.core.runtime import select_runtime
    from frami.reporting.inspect import inspect as run_inspect

    began = time.monotonic()
    select_runtime(device, threads)
    click.echo(run_inspect(path, out, device=device, **arguments))
    if out is not None:
        settings = {
            "path": path,
            "out": out,
            "seed": seed,
            "device": device,
            "threads": threads,
            **arguments,
        }
        files.write_json(
            files.ensure_dir(out) / "inspect.json", make_record("inspect", settings, began)
        )
    else:
        options.echo_next("inspect", path, "--out", "pictures")
