"""Where recordings come from: a download, or a mixture of others."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from frami.cli import options
from frami.core import registry


@click.group()
def data() -> None:
    """Recordings to train on and to measure with."""


@data.command()
@click.argument("dataset")
@click.option(
    "--out",
    required=True,
    type=options.PathOption(),
    help="Folder to put the data set's folder into.",
)
@click.option("--from", "base_url", metavar="URL", help="Mirror to download from.")
@options.runtime_options
def get(dataset: str, out: str, base_url: str | None, **runtime: Any) -> None:
    """Download a data set, checked; what was cut off goes on."""
    from frami.core import files
    from frami.core.progress import show_download
    from frami.core.run import make_record
    from frami.data import download

    began = time.monotonic()
    there = download.is_downloaded(dataset, Path(out))
    with show_download(f"download of {dataset}") as report:
        folder = download.download_dataset(dataset, Path(out), base_url=base_url, progress=report)
    record = Path(out) / f"{folder.name}.json"
    if not there:
        settings = {"dataset": dataset, "out": out, "from": base_url, **runtime}
        files.write_json(record, make_record("data get", settings, began))
    click.echo(
        f"{dataset} is in {folder}{f', the record of its download in {record}' if record.exists() else ''}."
    )
    folds = registry.load("datasets", dataset).test_folds(folder)
    options.echo_next(
        "train",
        "--dataset",
        dataset,
        "--data",
        folder,
        "--test-fold",
        folds[-1],
        "--out",
        "TEACHER",
    )


@click.command()
@options.required_option(
    "--from", "dataset", help="Data set whose recordings are mixed: esc50, urbansound8k, ..."
)
@click.option(
    "--data",
    type=options.PathOption(),
    help="Its folder, or one that holds it. [default: FRAMI_DATA]",
)
@options.required_option("--test-fold", help="Whose clips go into the soundscapes of validation.")
@click.option(
    "--class", "classes", multiple=True, help="Only this class; may be given more than once."
)
@click.option("--train", type=int, default=1000, show_default=True, help="Soundscapes to train on.")
@click.option("--validation", type=int, default=200, show_default=True, help="And to validate on.")
@options.required_option(
    "--out", type=options.PathOption(), help="Folder to write, in the layout of DESED."
)
@options.runtime_options
@options.set_option
@options.list_settings_option
def soundscapes(assignments: tuple[str, ...], list_settings: bool, **arguments: Any) -> None:
    """Mix recordings into soundscapes whose events are known, as sound-event detectors need them."""
    from frami.core.progress import show_progress
    from frami.data.soundscapes import SoundscapeSettings, make_soundscapes

    if options.print_settings(list_settings, SoundscapeSettings):
        return
    chosen = options.parse_settings(assignments, SoundscapeSettings)
    total = arguments["train"] + arguments["validation"]
    with show_progress("soundscapes", total) as report:
        out = make_soundscapes(**arguments, options=chosen, report=report)
    of = " of real recordings" if registry.load("datasets", arguments["dataset"]).FOLDER else ""
    click.echo(
        f"{total} synthetic mixtures{of} are in {out}, the record of the run in {out / 'run.json'}."
    )
    of_them = ["--dataset", "desed", "--data", out, "--test-fold", "validation"]
    if arguments["train"]:
        options.echo_next("train", *of_them, "--network", "crnn", "--out", "TEACHER")
    else:
        options.echo_next("evaluate", "MODEL", *of_them)
