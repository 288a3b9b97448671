"""The command that answers sounds: `predict`."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from frami.cli import options, output, types
from frami.cli.help import Command
from frami.core.errors import UsageError
from frami.core.text import make_printable

if TYPE_CHECKING:
    from frami.prediction.formats import Named, Selection
    from frami.prediction.predictor import Predictor

STANDARD_INPUT = "-"


class PredictArguments(TypedDict):
    """What `predict` passes on to the function that answers, by the library's names."""

    top: int | None
    threshold: float | None
    window: float | None
    hop: float | None
    pcm: str
    sample_rate: int | None
    channels: int


@click.command(
    cls=Command,
    examples={
        "Classify all sounds in a folder, as a table.": "frami predict digits clips --csv "
        "--out answers.csv",
        "Find events and open them in Audacity.": "frami predict detector long.wav "
        "--format audacity --out labels",
    },
)
@click.argument("model", type=types.MODEL)
@click.argument("sounds", nargs=-1, required=True, type=types.PathOption(allow_dash=True))
@options.trust_option
@options.option(
    "--window",
    section="Input",
    type=float,
    metavar="SECONDS",
    help="Answer windows of this length, not the whole sound.",
    default_text="the whole sound; beyond 10 minutes, the length of the training clips",
)
@options.option(
    "--hop",
    section="Input",
    type=float,
    metavar="SECONDS",
    help="Time between the begins of two windows.",
    default_text="half a window",
)
@options.option(
    "--pcm",
    section="Input",
    type=types.Name(lambda: types.PCM),
    default="s16le",
    help=f"Format of raw samples from standard input: {', '.join(types.PCM)}.",
)
@options.option(
    "--sample-rate",
    section="Input",
    type=int,
    metavar="HERTZ",
    help="Rate of raw samples from standard input. A file has its own.",
)
@options.option(
    "--channels",
    section="Input",
    type=int,
    default=1,
    help="Channels of raw samples from standard input, 1 or 2.",
)
@options.option(
    "--top",
    section="Output",
    type=types.Integer(1),
    metavar="NUMBER",
    help="Print this many classes at most.",
    default_text="5; with --threshold, all above it",
)
@options.option(
    "--threshold",
    section="Output",
    type=float,
    metavar="PROBABILITY",
    help="Print classes of at least this probability. For a detector, the probability above which "
    "an event is reported.",
    default_text="none; 0.5 for events",
)
@options.option("--json", "as_json", section="Output", is_flag=True, help="Print a JSON array.")
@options.option(
    "--csv", "as_csv", section="Output", is_flag=True, help="Print a table with commas."
)
@options.option("--tsv", "as_tsv", section="Output", is_flag=True, help="Print a table with tabs.")
@options.option(
    "--format",
    "format_name",
    section="Output",
    type=types.Name(lambda: types.FORMATS),
    help=f"{', '.join(types.FORMATS)}. jsonl has an object on each line; dcase is the table of "
    "DCASE task 4; audacity writes a label file for each sound.",
    default_text="text, or by the suffix of --out",
)
@options.option(
    "--out",
    section="Output",
    type=types.FOLDER,
    metavar="FILE",
    help="File to write; with --format audacity, a folder.",
    default_text="standard output",
)
@options.runtime_options
def predict(
    model: str,
    sounds: tuple[str, ...],
    as_json: bool,
    as_csv: bool,
    as_tsv: bool,
    format_name: str | None,
    out: str | None,
    seed: int,
    device: str,
    threads: int | None,
    **arguments: Unpack[PredictArguments],
) -> None:
    """Classify sounds, tag them, or find their events.

    MODEL is the folder of a bundle, or digits, which ships with frami. The folder of an export
    answers with its INT8 file if there is one; name model.onnx to choose. SOUNDS are files,
    folders, patterns in quotes, or - for raw samples from standard input. A file that cannot be
    read is named and skipped; the exit status is then 1. Digital silence gets no answer.
    """
    from frami.core.runtime import select_runtime
    from frami.prediction import inputs
    from frami.prediction.exported import find_model_file
    from frami.prediction.formats import FORMATS, Selection, choose_format
    from frami.prediction.loading import make_predictor

    flags = {"json": as_json, "csv": as_csv, "tsv": as_tsv, format_name: format_name}
    chosen = choose_format([name for name, given in flags.items() if name and given], out)
    is_piped = STANDARD_INPUT in sounds
    _check_pipe(sounds, arguments)
    paths = [] if is_piped else inputs.find_sounds(sounds)
    if path := find_model_file(model):
        output.show(f"{path} answers, on the CPU.", err=True)
    predictor = make_predictor(model, select_runtime(device, threads, "float32"))
    selection = Selection(predictor.task.name, arguments["top"], arguments["threshold"])
    if is_piped:
        answers = _piped_answers(predictor, arguments)
        _write(FORMATS[chosen](answers, selection), out)
    else:
        _answer_files(predictor, paths, chosen, selection, out, arguments)


def _check_pipe(sounds: Sequence[str], arguments: PredictArguments) -> None:
    if STANDARD_INPUT not in sounds:
        if arguments["sample_rate"] is not None:
            raise UsageError("`sample_rate` is for standard input (-); a file has its own rate.")
    elif len(sounds) > 1:
        raise UsageError("Standard input (-) cannot be combined with files.")
    elif arguments["sample_rate"] is None:
        raise UsageError(
            "Raw samples from standard input need their rate: give `sample_rate`, in Hz."
        )


def _piped_answers(predictor: Predictor, arguments: PredictArguments) -> Iterator[Named]:
    """Yield the answers for standard input as they are known."""
    from frami.prediction.inputs import read_pcm
    from frami.prediction.predict import predict_blocks
    from frami.prediction.streaming import Stream

    stream = Stream(
        predictor,
        arguments["sample_rate"],
        window=arguments["window"],
        hop=arguments["hop"],
        threshold=0.5 if arguments["threshold"] is None else arguments["threshold"],
    )
    blocks = read_pcm(sys.stdin.buffer, arguments["pcm"], arguments["channels"])
    for prediction in predict_blocks(stream, blocks):
        yield STANDARD_INPUT, prediction


def _answer_files(
    predictor: Predictor,
    paths: Sequence[Path],
    chosen: str,
    selection: Selection,
    out: str | None,
    arguments: PredictArguments,
) -> None:
    """Write the answers for files; raise at the end if one could not be read."""
    from frami.core.progress import show_progress, show_stages, silent
    from frami.prediction.batch import Batch, total_duration
    from frami.prediction.formats import FORMATS, sound_names
    from frami.prediction.labels import write_label_files

    if chosen == "audacity" and out is None and len(paths) > 1:
        raise UsageError("The format audacity has a file for each sound; name a folder with `out`.")
    threshold = 0.5 if arguments["threshold"] is None else arguments["threshold"]
    window, hop = arguments["window"], arguments["hop"]
    batch = Batch(predictor, window, hop, threshold, lambda text: output.echo(text, err=True))
    names = sound_names(paths, without_folders=chosen == "dcase")
    with show_stages() as report:
        seconds = max(1, math.ceil(total_duration(paths, report)))
    # Answers in the terminal show the progress themselves.
    shows_answers = out is None and sys.stdout.isatty()
    progress = show_progress("predicting, seconds of sound", seconds)
    with nullcontext(silent) if shows_answers else progress as report:
        if chosen == "audacity" and out is not None:
            write_label_files(batch, paths, out, selection, report)
        else:
            _write(FORMATS[chosen](batch.answers(paths, names, report), selection), out)
        report(seconds)
    if batch.n_silent:
        output.show(f"Left out as digital silence: {batch.n_silent}.", err=True)
    if out is not None:
        output.show(f"The answers are in {out}.")
    batch.check(len(paths))


def _write(pieces: Iterable[str], out: str | None) -> None:
    """Write pieces of text to a file, or to standard output as they come."""
    from frami.core import files

    if out is not None:
        files.ensure_dir(Path(out).parent)
        files.write_parts(Path(out), (p.encode(errors="backslashreplace") for p in pieces))
        return
    try:
        for piece in pieces:
            click.echo(make_printable(piece, "\n\t") if sys.stdout.isatty() else piece, nl=False)
    except BrokenPipeError:  # the reader has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
