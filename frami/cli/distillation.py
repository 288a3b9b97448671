"""The command that trains a student: `distill`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import click

from frami.cli import cluster, options, output, runs, types
from frami.cli.help import Command
from frami.cli.options import RuntimeArguments
from frami.core import registry
from frami.training.recipes import RECIPES, find_recipe

if TYPE_CHECKING:
    from frami.evaluate.complexity import Budget
    from frami.models.model import Model


class DistillArguments(RuntimeArguments):
    """What `distill` passes on to `frami.distill`."""

    teacher: tuple[str, ...]
    embedding_teacher: str | None
    samples: str | None
    dataset: str | None
    data: str | None
    test_fold: str | None
    noise: bool
    student: str
    width: int | None
    depth: int | None
    recipe: str
    more_steps: int
    any_teacher: bool
    strict: bool
    stop_after: float | None
    out: str
    precision: str


@click.command(
    cls=Command,
    examples={
        "Distill from synthetic clips alone.": "frami distill --teacher digits "
        "--samples samples.h5 --student small --out student",
        "Distill from recordings, matching logits only.": "frami distill --teacher TEACHER "
        "--dataset esc50 --data DIR --test-fold 5 --recipe kd --out student",
    },
)
@options.required_option(
    "--teacher",
    section="Input",
    multiple=True,
    type=types.MODEL,
    metavar="MODEL",
    help="The folder of a bundle, or digits, which ships with frami. Repeat the option to distill "
    "from an ensemble; its first teacher provides the hidden states.",
)
@options.trust_option
@options.option(
    "--embedding-teacher",
    section="Input",
    type=types.MODEL,
    metavar="MODEL",
    help="Model that provides the hidden states instead of the teacher. It may be wider, but needs "
    "the same front end.",
)
@options.option(
    "--samples",
    section="Input",
    type=types.FOLDER,
    metavar="FILE",
    help="Store of synthetic clips to train on. Give either this, --dataset or --noise.",
)
@options.recording_options(required=False)
@options.option(
    "--noise",
    section="Input",
    is_flag=True,
    help="Train on noise that is drawn anew for every batch, as a control. The teacher's batch "
    "norms then use the statistics of each batch.",
)
@options.option(
    "--any-teacher",
    section="Input",
    is_flag=True,
    help="Skip two safety checks: that the store was made from this teacher, and that the teacher "
    "was not trained on the test fold.",
)
@options.option(
    "--student",
    section="Model",
    type=types.NETWORK,
    default="small",
    help=f"A student network ({', '.join(registry.names('students'))}) or a teacher network "
    f"({', '.join(registry.names('teachers'))}).",
)
@options.width_option
@options.depth_option
@options.budget_options
@options.option(
    "--recipe",
    section="Method",
    type=types.RECIPE,
    default="frami",
    help=f"What the student learns to match: {', '.join(RECIPES)}. 'frami list recipes' explains "
    "them.",
)
@options.minutes_options
@options.more_steps_option
@options.required_option(
    "--out",
    section="Output",
    type=types.FOLDER,
    metavar="FOLDER",
    help="Folder to write the student to.",
)
@cluster.stop_option
@options.settings_options
@options.runtime_options
@options.precision_option
@cluster.runs_under_torchrun
def distill(
    assignments: tuple[str, ...],
    list_settings: bool,
    budget: str | None,
    max_kb: float | None,
    max_mmacs: float | None,
    minutes: float | None,
    quick: bool,
    best: bool,
    **arguments: Unpack[DistillArguments],
) -> None:
    """Distill a student from synthetic clips or from recordings.

    Name one source of training clips: a store (--samples), a data set (--dataset and --test-fold),
    or noise (--noise). A store needs no recordings. Recordings show how much better the student
    could be. If distillation was interrupted, run the same command again to continue. To train a
    finished student on, add --more-steps.
    """
    output.import_torch("distillation")
    from frami.core.progress import show_progress
    from frami.core.settings import make_settings
    from frami.evaluate.complexity import find_budget
    from frami.training.distill import distill as run_distill
    from frami.training.norms import DistillSettings

    weights = find_recipe(
        arguments["recipe"], labeled=not (arguments["samples"] or arguments["noise"])
    ).weights
    if options.print_settings(list_settings, DistillSettings, weights):
        return
    settings = options.parse_settings(assignments, DistillSettings, weights)
    loop_settings = {name: value for name, value in settings.items() if name not in weights}
    steps = make_settings(DistillSettings, loop_settings).steps
    minutes = options.choose_minutes(minutes, quick, best)
    limit = find_budget(budget, max_kb, max_mmacs)
    out = arguments["out"]
    planned = runs.planned_steps(out, steps, arguments["more_steps"])
    runs.check_recordings(arguments["dataset"], arguments["data"])
    # With minutes, the number of steps is measured first.
    total = planned if minutes is None else None
    with show_progress("distillation", total) as report:
        student = run_distill(
            **arguments,
            minutes=minutes,
            budget=limit,
            options=settings,
            report=report,
            warn=output.echo_note,
            announce=output.echo_note,
        )
    runs.echo_run(out, planned)
    _echo_student(student, out, limit)
    recordings = arguments["dataset"], arguments["data"], arguments["test_fold"]
    placeholders = "DATASET", "DIR", "FOLD"
    dataset, data, test_fold = recordings if arguments["dataset"] else placeholders
    teacher = [word for name in arguments["teacher"][:1] for word in ("--teacher", name)]
    words = output.recording_words(str(dataset), data, str(test_fold))
    output.echo_next("evaluate", out, *teacher, *words)


def _echo_student(student: Model, out: str, limit: Budget | None) -> None:
    """Print what a student is, and how it compares with its teacher."""
    from frami.core.run import read_record

    output.show(f"Student {student.fingerprint} ({student.parameters:,} parameters) is in {out}.")
    output.echo_budget(limit, student)
    agreement = read_record(out).get("scores", {}).get("agreement_on_held_out_clips")
    if agreement is not None:
        output.show(f"Agreement with the teacher on held-out synthetic clips: {agreement:.3f}")
    output.echo_next("inspect", out)
