"""The commands that show results: `report` writes a page, `listen` writes sounds."""

from __future__ import annotations

from typing import TypedDict, Unpack

import click

from frami.cli import options, output, runs, types
from frami.cli.help import Command
from frami.core.text import count


class ReportArguments(TypedDict):
    """What `report` passes on to `frami.report`."""

    out: str
    title: str
    clips: int
    recordings: bool
    dataset: str | None
    data: str | None
    test_fold: str | None
    strict: bool
    device: str


@click.command(
    cls=Command,
    examples={
        "Show a teacher, its clips and a student on one page.": "frami report TEACHER samples.h5 "
        "student --out report.html",
        "Add scores, files for a device and an audit.": "frami report TEACHER samples.h5 student "
        "runs/scores.json ship audit --out report.html",
    },
)
@click.argument("runs_given", nargs=-1, required=True, type=types.FOLDER, metavar="RUN...")
@options.trust_option
@options.recording_options(required=False)
@options.option(
    "--title",
    section="Output",
    default="",
    metavar="TITLE",
    help="Title of the page.",
    default_text="names the teacher",
)
@options.option(
    "--clips",
    section="Output",
    type=types.Integer(1, 20),
    default=2,
    help="Most clips of a class in the gallery.",
)
@options.option(
    "--recordings",
    section="Output",
    is_flag=True,
    help="Show and play the recordings nearest to synthetic clips, which frami audit --recordings "
    "kept. The page then holds recordings.",
)
@options.required_option(
    "--out",
    section="Output",
    type=types.FOLDER,
    metavar="FILE",
    help="Page to write, a file that ends in .html.",
)
@options.runtime_options
def report(
    runs_given: tuple[str, ...],
    seed: int,
    threads: int | None,
    **arguments: Unpack[ReportArguments],
) -> None:
    """Write one HTML page on runs that belong together.

    RUN is the folder of a model, of an export or of an audit, a store (.h5), the scores that
    evaluate wrote (.json), or bench.csv. The page needs no network: its pictures and sounds are
    part of it. With --dataset, recordings are points in the map; nothing else of them gets into the
    page unless you add --recordings.
    """
    from frami.core.progress import show_progress
    from frami.core.runtime import select_runtime
    from frami.reporting.report import PARTS
    from frami.reporting.report import report as write_report

    select_runtime(arguments["device"], threads)
    runs.check_recordings(arguments["dataset"], arguments["data"])
    with show_progress("report", PARTS) as progress:
        path = write_report(runs_given, **arguments, report=progress)
    size = path.stat().st_size / 1e6
    output.show(f"The report is in {path} ({size:.1f} MB). Open it with a browser.")
    if arguments["recordings"]:
        output.show("It may hold recordings: keep it where they are kept.")


@click.command(
    cls=Command,
    examples={
        "Write four sounds of a class.": "frami listen samples.h5 --class dog --out sounds",
        "Write one sound of each class.": "frami listen samples.h5 --clips 1 --out sounds",
    },
)
@click.argument("samples", type=types.FOLDER)
@options.option(
    "--class",
    "classes",
    section="Input",
    multiple=True,
    metavar="LABEL",
    help="Class to write. Repeat the option for several.",
    default_text="every class",
)
@options.option(
    "--clips",
    section="Output",
    type=types.Integer(1),
    default=4,
    help="Most clips of a class, evenly spaced from the first to the last.",
)
@options.required_option(
    "--out",
    section="Output",
    type=types.FOLDER,
    metavar="FOLDER",
    help="Folder to write WAV files to.",
)
def listen(samples: str, classes: tuple[str, ...], clips: int, out: str) -> None:
    """Write the clips of a store as sounds.

    Griffin-Lim turns a spectrogram into sound: it estimates the phase, so that even a recording
    would sound rough. All sounds have about the same level, 20 dB below full scale.
    """
    from frami.core.progress import show_progress
    from frami.data.store import Store
    from frami.reporting.sounds import choose_sounds, write_sounds

    with Store(samples) as store:
        chosen = choose_sounds(store, classes, clips)
        with show_progress("sounds", len(chosen)) as progress:
            paths = write_sounds(store, chosen, out, report=progress)
        rate = store.front_end.sample_rate
    sounds = f"{count(len(paths), 'sound')} of {rate} Hz"
    output.show(f"{sounds} are in {out}. Griffin-Lim estimated their phase.")
    output.echo_next("report", samples, "--out", "report.html")
