"""The command that recommends a source of clips for a teacher: `advise`."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

from frami.cli import options, output, types
from frami.cli.help import Command
from frami.cli.options import RuntimeArguments


class AdviseArguments(RuntimeArguments):
    """What `advise` passes on to `frami.advise`."""

    minutes: int
    student: str


@click.command(
    cls=Command,
    examples={
        "Find out which clips serve the teacher that ships with frami.": "frami advise digits",
        "Take more time, for a clearer answer.": "frami advise TEACHER --minutes 60 --out advice",
    },
)
@click.argument("teacher", type=types.MODEL, metavar="MODEL")
@options.trust_option
@options.option(
    "--out",
    section="Output",
    default="advice",
    type=types.FOLDER,
    metavar="FOLDER",
    help="Folder for the trials and their result, advice.json.",
)
@options.option(
    "--minutes",
    section="Input",
    type=types.Integer(1),
    default=10,
    help="About how long the trials may take. More time, or a faster machine, means more clips and "
    "longer training.",
)
@options.option(
    "--student",
    section="Model",
    type=types.NETWORK,
    default="small",
    help="Network of the students.",
)
@options.runtime_options
def advise(teacher: str, out: str, **arguments: Unpack[AdviseArguments]) -> None:
    """Recommend a source of clips for a teacher, without recordings.

    Every source makes a small store, from which a small student is distilled. The sources are
    inverted clips, random sounds, both (frami), pieces of one clip, and noise. The students are
    tested on clips of the other sources. The table shows their agreement with the teacher, and what
    each source costs on this machine. If the command was interrupted, run it again to continue.
    """
    from frami.adoption.advise import RESULT, STEPS
    from frami.adoption.advise import advise as run_advise
    from frami.adoption.sources import FEWEST_CLIPS, find_source
    from frami.core.progress import show_progress
    from frami.inversion.synthesize import SAMPLES

    output.echo(
        f"The trials take about {arguments['minutes']} min. Each source makes {FEWEST_CLIPS} clips "
        f"or more, which can take longer.",
        err=True,
    )
    with show_progress("trials, percent", 100) as report:
        advice = run_advise(teacher, out, **arguments, report=report)
    for line in advice.lines():
        output.show(line)
    output.show(f"The numbers are in {Path(out) / RESULT}.")
    source = find_source(advice.recommended)
    steps = f"steps={STEPS}"
    if source.method is None:
        output.echo_next(
            "distill", "--teacher", teacher, "--noise", "--set", steps, "--out", "STUDENT"
        )
        return
    words = [word for pair in source.words() for word in pair]
    output.echo_next(
        "synthesize", "--teacher", teacher, *words, "--samples", SAMPLES, "--out", "samples.h5"
    )
    output.echo_next(
        "distill",
        "--teacher",
        teacher,
        "--samples",
        "samples.h5",
        "--set",
        steps,
        "--out",
        "STUDENT",
    )
