"""The command of the owner of recordings: `moments`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from frami.cli import options, output, runs, types
from frami.cli.help import Command
from frami.cli.options import RecordingArguments, RuntimeArguments

if TYPE_CHECKING:
    from frami.data.recordings import Split
    from frami.models.model import Model


class MomentArguments(RecordingArguments, RuntimeArguments):
    """The options of `moments`, apart from --out."""

    per_class: bool
    min_count: int
    epsilon: float | None
    delta: float | None


@click.command(
    cls=Command,
    examples={
        "Hand over moments in place of recordings.": "frami moments TEACHER --dataset fsdd "
        "--data DIR --test-fold takes --out moments.safetensors",
        "Add noise with a guarantee.": "frami moments TEACHER --dataset fsdd --data DIR "
        "--test-fold takes --epsilon 4 --delta 1e-5 --out moments.safetensors",
    },
)
@click.argument("model", type=types.MODEL)
@options.trust_option
@options.recording_options(required=True)
@options.option(
    "--per-class",
    section="Statistics",
    is_flag=True,
    help="Add the moments of each class. They reveal more than those of all clips.",
)
@options.option(
    "--min-count",
    section="Statistics",
    type=types.Integer(2),
    default=20,
    help="Fewest clips behind a number. Fewer clips, or a class with fewer, are refused.",
)
@options.option(
    "--epsilon",
    section="Privacy",
    type=float,
    help="Add Gaussian noise so that the file is differentially private for each clip. Smaller is "
    "more private; try 4.",
    default_text="no noise",
)
@options.option(
    "--delta",
    section="Privacy",
    type=float,
    help="Delta of the guarantee: below one over the number of clips, e.g. 1e-5.",
    default_text="no noise",
)
@options.required_option(
    "--out",
    section="Output",
    type=types.FOLDER,
    metavar="FILE",
    help="File to write, e.g. moments.safetensors.",
)
@options.runtime_options
def moments(model: str, out: str, **arguments: Unpack[MomentArguments]) -> None:
    """Compute a teacher's moments over recordings.

    The owner of recordings runs this and hands over the file alone: means and variances at the
    inputs of the teacher's layers. It guides the inversion of a teacher with few batch norms. The
    file is a release of statistics of the recordings.
    """
    output.import_torch("moments")
    from frami.adoption.moments import compute_moments, describe_moments
    from frami.core import files
    from frami.core.errors import UsageError
    from frami.core.progress import show_progress
    from frami.core.run import make_record
    from frami.data.clips import Spectrograms
    from frami.models.model import load

    began, path = time.monotonic(), Path(out)
    if path.is_dir():
        raise UsageError(f"`out` is {out}, a folder; name a file.")
    files.ensure_dir(path.parent)
    teacher = load(model)
    runs.check_recordings(arguments["dataset"], arguments["data"])
    split = _load_split(teacher, arguments)
    recordings = split.train.labeled()
    with show_progress("moments", len(recordings)) as report:
        clips = Spectrograms.from_recordings(recordings, teacher.front_end, report=report)
        file = compute_moments(
            teacher,
            clips,
            per_class=arguments["per_class"],
            min_count=arguments["min_count"],
            epsilon=arguments["epsilon"],
            delta=arguments["delta"],
            device=arguments["device"],
            threads=arguments["threads"],
            report=report,
        )
    file.save(path, **split.origin)
    settings = {"model": model, "out": out, **arguments}
    record = path.with_name(f"{path.name}.json")
    files.write_json(record, make_record("moments", settings, began, teacher=teacher.fingerprint))
    for sentence in filter(None, (*describe_moments(file), split.missing)):
        output.echo(sentence)
    output.show(f"The moments are in {out}. The record of the run is in {record}.")
    output.echo_next("synthesize", "--teacher", model, "--moments", out, "--out", "samples.h5")


def _load_split(teacher: Model, arguments: MomentArguments) -> Split:
    """Return the recordings, with the labels and the task of the teacher."""
    from frami.data.splits import align_labels, load_split, split_for_task

    split = load_split(
        arguments["dataset"],
        arguments["data"],
        test_fold=arguments["test_fold"],
        strict=arguments["strict"],
    )
    return split_for_task(align_labels(split, teacher.labels), teacher.task)
