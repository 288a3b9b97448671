"""The commands on recordings: `data get` and `data check`, and `soundscapes`, which mixes them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Unpack

import click

from frami.cli import options, output, runs, types
from frami.cli.help import Command, Group
from frami.cli.options import RecordingArguments, RuntimeArguments

MOST_LETTERS = 2000  # of a fault; it may quote a table


@click.group(cls=Group)
def data() -> None:
    """Download and check data sets of recordings."""


@data.command(
    examples={
        "Download ESC-50 into the folder DIR.": "frami data get esc50 --out DIR",
        "Use a mirror.": "frami data get esc50 --out DIR --from https://example.org/files",
    }
)
@click.argument("dataset", type=types.DATASET)
@options.option(
    "--from",
    "base_url",
    section="Input",
    metavar="URL",
    help="Mirror to download from.",
    default_text="the publisher's address",
)
@options.option(
    "--out",
    section="Output",
    required=True,
    type=types.FOLDER,
    metavar="FOLDER",
    help="Folder in which the data set's own folder is created.",
)
@options.runtime_options
def get(dataset: str, out: str, base_url: str | None, **runtime: Unpack[RuntimeArguments]) -> None:
    """Download a data set and check it.

    DATASET is a name such as esc50. If the download was interrupted, run the same command again to
    continue.
    """
    from frami.core import files
    from frami.core.progress import show_download
    from frami.core.run import make_record
    from frami.data import download
    from frami.data.recordings import load_dataset

    began, path = time.monotonic(), Path(out) / f"{load_dataset(dataset).FOLDER}.json"

    def write_record(folder: Path) -> None:
        settings = {"dataset": dataset, "out": out, "from": base_url, **runtime}
        files.write_json(path, make_record("data get", settings, began))

    with show_download(f"download of {dataset}") as report:
        folder = download.download_dataset(
            dataset, Path(out), base_url=base_url, progress=report, finish=write_record
        )
    record = f" The record of the download is in {path}." if path.exists() else ""
    output.show(f"{dataset} is in {folder}.{record}")
    fold = load_dataset(dataset).test_folds(folder)[-1]
    recordings = output.recording_words(dataset, str(folder), fold)
    output.echo_next("train", *recordings, "--out", "TEACHER")


@data.command(
    examples={
        "Check your own recordings in the folder DIR.": "frami data check DIR",
        "Check a copy of ESC-50.": "frami data check DIR --dataset esc50",
    }
)
@click.argument("folder", type=types.FOLDER)
@options.option(
    "--dataset",
    section="Input",
    type=types.DATASET,
    default="folder",
    help="Data set that the folder holds. 'frami list datasets' shows all.",
)
def check(folder: str, dataset: str) -> None:
    """List everything that is wrong with a folder of recordings.

    Every audio file is read. The tables are compared with themselves, with the names of the files
    and with the files that are there. The exit status is 1 if anything is wrong.
    """
    output.import_torch("check")
    from frami.core.errors import OperationError
    from frami.core.progress import show_stages
    from frami.core.text import count, shorten
    from frami.data.check import check_data

    with show_stages() as report:
        found = check_data(folder, dataset, report=report)
    for kind, faults in found.faults.items():
        output.show(f"{kind}: {count(len(faults), 'fault')}")
        for sentence in faults:
            output.show(f"  {shorten(sentence, MOST_LETTERS)}")
    for note in found.notes:
        output.show(shorten(note, MOST_LETTERS))
    what = f"{count(found.n_files, 'audio file')}, {count(len(found.folds), 'fold')}"
    if found.n_faults:
        raise OperationError(
            f"{found.folder} has {count(found.n_faults, 'fault')} ({what}); see above."
        )
    output.show(f"{found.folder} has no faults ({what}).")
    recordings = output.recording_words(dataset, folder, found.folds[-1])
    output.echo_next("train", *recordings, "--out", "TEACHER")


class SoundscapeArguments(RecordingArguments, RuntimeArguments):
    """What `soundscapes` passes on to `make_soundscapes`."""

    classes: tuple[str, ...]
    train: int
    validation: int
    out: str


@click.command(
    cls=Command,
    examples={
        "Mix clips of ESC-50; fold 5 is for validation.": "frami soundscapes --from esc50 "
        "--data DIR --test-fold 5 --out SCENES",
        "Mix generated tones, which need no download.": "frami soundscapes --from tones "
        "--test-fold 0 --train 100 --validation 20 --out SCENES",
    },
)
@options.required_option(
    "--from",
    "dataset",
    section="Input",
    type=types.DATASET,
    help="Data set whose recordings are mixed, e.g. esc50 or urbansound8k.",
)
@options.data_option()
@options.required_option(
    "--test-fold",
    section="Input",
    type=str,
    metavar="FOLD",
    help="Fold whose clips go into the soundscapes for validation only.",
)
@options.strict_option()
@options.option(
    "--class",
    "classes",
    section="Input",
    multiple=True,
    metavar="LABEL",
    help="Use only this class. Repeat the option for several.",
    default_text="all classes",
)
@options.required_option(
    "--out",
    section="Output",
    type=types.FOLDER,
    metavar="FOLDER",
    help="Folder to write, in the layout of DESED.",
)
@options.option(
    "--train",
    section="Output",
    type=int,
    default=1000,
    help="Number of soundscapes for training.",
)
@options.option(
    "--validation",
    section="Output",
    type=int,
    default=200,
    help="Number of soundscapes for validation.",
)
@options.settings_options
@options.runtime_options
def soundscapes(
    assignments: tuple[str, ...], list_settings: bool, **arguments: Unpack[SoundscapeArguments]
) -> None:
    """Mix recordings into soundscapes with known events.

    A soundscape has several sounds over a background noise, and a table of when each begins and
    ends. Sound-event detectors are trained on it. Name the finished folder with --dataset desed.
    """
    output.import_torch("soundscapes")
    from frami.core.progress import show_progress
    from frami.data.recordings import load_dataset
    from frami.data.soundscapes import SoundscapeSettings, make_soundscapes

    if options.print_settings(list_settings, SoundscapeSettings):
        return
    settings = options.parse_settings(assignments, SoundscapeSettings)
    total = arguments["train"] + arguments["validation"]
    runs.check_recordings(arguments["dataset"], arguments["data"])
    with show_progress("soundscapes", total) as report:
        out = make_soundscapes(**arguments, options=settings, report=report)
    module = load_dataset(arguments["dataset"])
    generated = not (module.FOLDER or module.ANY_FOLDER)
    mixed = "synthetic mixtures" if generated else "synthetic mixtures of real recordings"
    output.show(f"{total} {mixed} are in {out}. The record of the run is in {out / 'run.json'}.")
    recordings = output.recording_words("desed", str(out), "validation")
    if arguments["train"]:
        output.echo_next("train", *recordings, "--network", "crnn", "--out", "TEACHER")
    else:
        output.echo_next("evaluate", "MODEL", *recordings)
