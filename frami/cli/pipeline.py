"""From recordings to a teacher, from that to synthetic clips, from those to a student; what they are, and how good."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from frami.cli import options
from frami.core import registry as catalog
from frami.core.errors import WrongUse
from frami.training import recipes


@click.command()
@options.recordings(required=True)
@click.option(
    "--network",
    default="resnet",
    show_default=True,
    help=f"{', '.join(catalog.names('teachers'))}, or a student network.",
)
@click.option("--width", type=int, help="Channels; by default the network's own choice.")
@click.option("--depth", type=int, help="Layers or blocks; by default the network's own choice.")
@click.option("--filterbank", help="Bands of the spectrogram: mel, slaney, gammatone, constant-q. [default: mel]")
@click.option(
    "--pooling",
    help="How a detector's frames make up a clip: attention, average, max, linear-softmax, exponential-softmax. "
    "[default: attention]",
)
@click.option("--task", help="single-label, multi-label or frames. [default: what the recordings are annotated for]")
@options.budget
@options.needed("--out", type=options.Place(), help="Folder to write the bundle to.")
@options.machine
@options.precision
@options.assignments
@options.list_settings
def train(assignments: tuple[str, ...], list_settings: bool, **arguments: Any) -> None:
    """Train a teacher, or a reference student, on recordings."""
    from frami.core import progress
    from frami.core.settings import make
    from frami.training import supervised as training

    if options.listed(list_settings, training.Settings):
        return
    chosen = options.parsed(assignments, training.Settings)
    with progress.shown("training", make(training.Settings, chosen).steps) as report:
        model = training.train(**arguments, options=chosen, report=report)
    out = arguments["out"]
    click.echo(f"Teacher {model.fingerprint} ({model.parameters:,} parameters) is in {out}.")
    options.say_budget(arguments["budget"], model)
    options.then("evaluate", out, *options.recordings_given(arguments))
    options.then("synthesize", "--teacher", out, "--out", "samples.h5")


@click.command()
@options.needed("--teacher", help="A bundle's folder, or 'digits', which ships with the package.")
@click.option("--samples", type=click.IntRange(min=1), default=4000, show_default=True, help="Clips to make in all.")
@options.needed("--out", type=options.Place(), help="Store to write, or to go on with (HDF5).")
@click.option("--method", default="frami", show_default=True, help=f"One of: {', '.join(catalog.names('generators'))}.")
@click.option(
    "--frames",
    nargs=2,
    type=int,
    help="Shortest and longest clip in frames. [default: as in training; frami: 80 at most where clips have one class]",
)
@click.option("--batch-size", type=click.IntRange(min=2), default=64, show_default=True, help="Clips a round.")
@click.option(
    "--co-occurrence",
    type=float,
    default=0.0,
    show_default=True,
    help="Let tags that the teacher finds alike meet, 0 to 1000: try 5.",
)
@options.machine
@options.precision
@options.assignments
@options.list_settings
def synthesize(assignments: tuple[str, ...], list_settings: bool, **arguments: Any) -> None:
    """Invert a frozen teacher into a store of synthetic spectrograms."""
    from frami.core import progress
    from frami.core.settings import make
    from frami.data.store import Store, run_folder
    from frami.inversion import synthesize as synthesis
    from frami.models import model

    settings = catalog.load("generators", arguments["method"]).Settings
    if options.listed(list_settings, settings):
        return
    name = arguments.pop("teacher")
    teacher = model.load(name)
    chosen = options.parsed(assignments, settings)
    for remark in synthesis.remarks(teacher, make(settings, chosen)):
        click.echo(remark, err=True)
    out, samples = Path(arguments["out"]), arguments["samples"]
    there = 0
    if out.is_file():
        with Store(out) as store:
            there = len(store)
    with progress.shown("synthesis", samples) as report:
        store = synthesis.synthesize(teacher, **arguments, options=chosen, report=report)
    click.echo(
        f"{len(store)} clips ({len(store) - there} new) are in {out}; the record of the run in {run_folder(out)}."
    )
    options.then("inspect", out)
    options.then("distill", "--teacher", name, "--samples", out, "--student", "small", "--out", "STUDENT")


@click.command()
@options.needed(
    "--teacher",
    multiple=True,
    help="A bundle's folder, or 'digits', which ships with the package; several answer together, hidden states are the first's.",
)
@click.option(
    "--embedding-teacher",
    help="A wider model of the same front end, whose hidden states are matched in place of the teacher's.",
)
@click.option("--samples", type=options.Place(), help="Store of synthetic clips to distil from; or --dataset.")
@options.recordings(required=False)
@click.option(
    "--student",
    default="small",
    show_default=True,
    help=f"{', '.join(catalog.names('students'))}, or a teacher network.",
)
@click.option("--width", type=int, help="Channels; by default the network's own choice.")
@click.option("--depth", type=int, help="Layers or blocks; by default the network's own choice.")
@click.option(
    "--recipe",
    default="frami",
    show_default=True,
    help=f"What the student is asked to match: {', '.join(recipes.RECIPES)}.",
)
@options.budget
@click.option(
    "--any-teacher",
    is_flag=True,
    help="Allow a store of another teacher, and a teacher that may know the fold held out.",
)
@options.needed("--out", type=options.Place(), help="Folder to write the student's bundle to.")
@options.machine
@options.precision
@options.assignments
@options.list_settings
def distill(assignments: tuple[str, ...], list_settings: bool, **arguments: Any) -> None:
    """Distil a student from a store (data-free), or from recordings (the upper bound)."""
    from frami.core import progress, run
    from frami.core.settings import make
    from frami.training import distill as distillation
    from frami.training import loop as learn

    weights = recipes.find(arguments["recipe"], labelled=not arguments["samples"]).weights
    if options.listed(list_settings, learn.Settings, weights):
        return
    chosen = options.parsed(assignments, learn.Settings, weights)
    steps = make(learn.Settings, {name: value for name, value in chosen.items() if name not in weights}).steps
    with progress.shown("distillation", steps) as report:
        student = distillation.distill(**arguments, options=chosen, report=report)
    out = arguments["out"]
    click.echo(f"Student {student.fingerprint} ({student.parameters:,} parameters) is in {out}.")
    options.say_budget(arguments["budget"], student)
    for name, value in run.read(out).get("scores", {}).items():
        if name != "fingerprint":
            click.echo(f"{name.replace('_', ' ')}: {value:.3f}")
    unknown = {"dataset": "DATASET", "data": "DIR", "test_fold": "FOLD"}
    options.then("inspect", out)
    options.then("evaluate", out, *options.recordings_given(arguments if arguments["dataset"] else unknown))


@click.command()
@click.argument("model")
@click.option("--with", "others", multiple=True, help="Another model, fused late; may be given more than once.")
@options.recordings(required=True)
@options.budget
@click.option(
    "--json",
    "json_file",
    type=options.Place(),
    help="Write scores and record here. [default: runs/evaluate-ID.json]",
)
@options.machine
def evaluate(model: str, json_file: str | None, budget: str | None, seed: int, **arguments: Any) -> None:
    """Score a model, or several fused, on real recordings that they were not trained on."""
    from frami.core import files, run
    from frami.evaluate import scores as accuracy
    from frami.models.model import load

    if json_file is not None:  # told before the recordings are heard
        if Path(json_file).is_dir() or Path(json_file).suffix in (".tsv", ".png"):
            raise WrongUse(f"--json is {json_file}, a folder, a table or a picture; name a .json file.")
        files.folder(Path(json_file).parent)
    began = time.monotonic()
    loaded, *others = map(load, (model, *arguments["others"]))
    options.say_budget(budget, loaded, *others)
    scores = accuracy.evaluate(loaded, **arguments | {"others": others})
    fingerprints = [one.fingerprint for one in (loaded, *others)]
    facts = {"model": model, "fingerprints": fingerprints, "budget": budget, "seed": seed, **arguments}
    record = run.note("evaluate", facts, began, fingerprint=loaded.fingerprint)
    path = Path(json_file or f"runs/evaluate-{record['id']}.json")
    files.folder(path.parent)
    files.write_json(path, scores | {"run": record})
    beside = _events_beside(path, loaded, scores["events"], arguments) if "events" in scores else ""
    for line in accuracy.by_class(scores):
        click.echo(line)
    numbers = [f"{accuracy.TITLES.get(n, n)} {value:.4f}" for n, value in scores.items() if isinstance(value, float)]
    click.echo(f"{', '.join(numbers)} on {scores['clips']} clips", nl=False)
    click.echo(f" of {arguments['dataset']}, fold {arguments['test_fold']}. {scores['missing']}".rstrip())
    click.echo(f"All scores are in {path}{beside}.")
    options.then("inspect", model)


def _events_beside(path: Path, model: Any, found: dict[str, Any], arguments: dict[str, Any]) -> str:
    """Write the events that a model finds beside its scores, as a table and as a picture; say where."""
    from frami.core import files
    from frami.data import recordings as datasets
    from frami.evaluate import scores as accuracy
    from frami.reporting import charts
    from frami.reporting import inspect as inspection

    # Data sets keep what is annotated in tables of the plain name.
    table, picture = (path.with_name(path.name.removesuffix(".json") + end) for end in (".events.tsv", ".events.png"))
    split = datasets.split(arguments["dataset"], arguments["data"], test_fold=arguments["test_fold"])
    files.write_bytes(table, accuracy.as_table(found).encode())
    files.write_bytes(picture, charts.png(inspection.rolls(model, datasets.for_task(split, model.task), found)))
    return f", the events found in {table}; {picture} draws those of some clips"


@click.command()
@click.argument("path", type=options.Place())
@click.option("--out", type=options.Place(), help="Folder to write its pictures (and sounds) to.")
@click.option(
    "--teacher", help="Model that hears a store's clips, such as their teacher: adds the map of its features."
)
@options.recordings(required=False)
@options.machine
def inspect(path: str, out: str | None, seed: int, device: str, threads: int | None, **arguments: Any) -> None:
    """Say what a bundle, a store or a run is, in one screen."""
    from frami.core import files, run
    from frami.core import runtime as machine
    from frami.reporting import inspect as inspection

    began = time.monotonic()
    machine.choose(device, threads)
    click.echo(inspection.inspect(path, out, device=device, **arguments))
    if out is not None:
        settings = {"path": path, "out": out, "seed": seed, "device": device, "threads": threads, **arguments}
        files.write_json(files.folder(out) / "inspect.json", run.note("inspect", settings, began))
    else:
        options.then("inspect", path, "--out", "pictures")
