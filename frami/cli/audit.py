"""The command `audit`, for whoever holds the recordings."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import click

from frami.cli import options, output, types
from frami.cli.help import Command

NEXT_REFERENCES = 4


@click.command(
    cls=Command,
    examples={
        "Attack a teacher and its student, with four reference models.": "frami audit --teacher "
        "TEACHER --student STUDENT --members DIR --others DIR --references 4 --out AUDIT",
        "Attack a store through shadow pipelines, on the folds of a data set.": "frami audit "
        "--teacher TEACHER --samples samples.h5 --dataset fsdd --data DIR --test-fold takes "
        "--references 8 --shadows 8 --out AUDIT",
    },
)
@options.required_option(
    "--teacher",
    section="Input",
    type=types.MODEL,
    metavar="MODEL",
    help="The teacher: the folder of its bundle.",
)
@options.trust_option
@options.option(
    "--student",
    section="Input",
    type=types.MODEL,
    metavar="MODEL",
    multiple=True,
    help="A student of the teacher, or its exported file, such as ship/model.int8.onnx. Repeat the "
    "option for several.",
)
@options.option(
    "--samples",
    section="Input",
    type=types.FOLDER,
    metavar="FILE",
    help="The teacher's store.",
)
@options.option(
    "--members",
    section="Input",
    type=types.FOLDER,
    metavar="FOLDER",
    help="Recordings that the teacher was trained on: a folder for each class, or a table.",
)
@options.option(
    "--others",
    section="Input",
    type=types.FOLDER,
    metavar="FOLDER",
    help="Recordings like the members that the teacher was not trained on.",
)
@options.recording_options(required=False)
@options.option(
    "--references",
    section="Attacks",
    type=types.Integer(0),
    default=0,
    help="Number of reference models to train, even. With 4, RMIA is a strong attack; 16 add LiRA.",
)
@options.option(
    "--shadows",
    section="Attacks",
    type=types.Integer(0),
    default=0,
    help="Number of reference models to invert and distill too, even. They serve the attacks on "
    "store and student.",
)
@options.option(
    "--canaries",
    section="Attacks",
    type=types.Integer(0),
    default=0,
    help="Train the teacher again with half of this many artificial clips, and test whether they "
    "can be recognized. An even number from 60 on.",
)
@options.option(
    "--train-with",
    section="Attacks",
    metavar="FUNCTION",
    help="Your function that trains reference models as the teacher was trained, e.g. "
    "train.py:train. It gets a model with fresh weights, clips and a seed, and returns the "
    "trained model.",
    default_text="frami train",
)
@options.option(
    "--persons",
    section="Statements",
    is_flag=True,
    help="State that the classes are persons.",
)
@options.option(
    "--epsilon",
    section="Statements",
    type=float,
    help="Epsilon of the teacher's differential privacy, if its owner states it.",
    default_text="that of its bundle, if any",
)
@options.option(
    "--delta",
    section="Statements",
    type=float,
    help="Delta of the teacher's differential privacy.",
    default_text="that of its bundle, if any",
)
@options.settings_options
@options.option(
    "--recordings",
    section="Output",
    is_flag=True,
    help="Keep spectrograms of the recordings nearest to synthetic clips, so that a report can "
    "show and play them.",
)
@options.required_option(
    "--out",
    section="Output",
    type=types.FOLDER,
    metavar="FOLDER",
    help="Folder for audit.json, audit.md and the numbers behind them.",
)
@options.precision_option
@options.runtime_options
def audit(
    teacher: str,
    out: str,
    assignments: tuple[str, ...],
    list_settings: bool,
    **arguments: Any,
) -> None:
    """Measure what models reveal of recordings.

    Run it where the recordings are. Attacks try to tell members from others: the teacher was
    trained on members only. The verdict on each subject is one of three: leakage found, none found
    at this power, not decidable. If the command was interrupted, run it again to continue.
    """
    from frami.auditing.audit import DOCUMENT, RESULT, training_steps
    from frami.auditing.audit import audit as run_audit
    from frami.auditing.settings import AuditSettings
    from frami.core.progress import show_progress
    from frami.models.model import as_model

    if options.print_settings(list_settings, AuditSettings):
        return
    settings = options.parse_settings(assignments, AuditSettings)
    sizes = {name: arguments[name] for name in ("references", "shadows", "canaries")}
    model = as_model(teacher)
    steps = training_steps(model, **sizes, options=settings, samples=bool(arguments["samples"]))
    with show_progress("audit, training steps" if steps > 1 else "audit", steps) as report:
        result = run_audit(model, out, **arguments, options=settings, report=report)
        report(steps)
    for sentence in [*result.content["recordings"]["notes"], *result.content["validity"]]:
        output.echo(sentence)
    for line in result.lines():
        output.echo("\n" + textwrap.fill(line, 100))
    output.show(
        f"\nThe audit is in {Path(out) / DOCUMENT}, its numbers are in {Path(out) / RESULT}."
    )
    if arguments["recordings"]:
        output.show(_describe_pairs(Path(out)))
    output.show(f"Keep {out} where the recordings are: its arrays describe single recordings.")
    if result.is_decided and not sizes["references"]:
        output.echo_next(*_stronger(teacher, out, arguments))


def _describe_pairs(out: Path) -> str:
    from frami.auditing.pairs import FILE

    if not (out / FILE).is_file():
        return "There are no nearest recordings to keep, because nothing could be decided."
    return (
        f"{out / FILE} holds spectrograms of recordings. They get into a page only with "
        f"frami report --recordings."
    )


def _stronger(teacher: str, out: str, arguments: dict[str, Any]) -> list[object]:
    """Return the words of the same audit with reference models."""
    words: list[object] = ["audit", "--teacher", teacher]
    words += [word for student in arguments["student"] for word in ("--student", student)]
    for name in ("samples", "members", "others", "dataset", "data", "test_fold"):
        if arguments[name] is not None:
            words += [f"--{name.replace('_', '-')}", arguments[name]]
    return [*words, "--references", NEXT_REFERENCES, "--out", f"{out}-references"]
