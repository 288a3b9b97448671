"""The command that trains on recordings: `train`."""

from __future__ import annotations

from typing import Unpack

import click

from frami.cli import cluster, options, output, runs, types
from frami.cli.help import Command
from frami.cli.options import RecordingArguments, RuntimeArguments
from frami.core import registry


class TrainArguments(RecordingArguments, RuntimeArguments):
    """What `train` passes on to `frami.train`."""

    network: str
    width: int | None
    depth: int | None
    filterbank: str | None
    pooling: str | None
    task: str | None
    more_steps: int
    stop_after: float | None
    out: str
    precision: str


@click.command(
    cls=Command,
    examples={
        "Train on ESC-50 and hold out fold 5.": "frami train --dataset esc50 --data DIR "
        "--test-fold 5 --out teacher",
        "Train a detector on soundscapes.": "frami train --dataset desed --data SCENES "
        "--test-fold validation --network crnn --out detector",
    },
)
@options.recording_options(required=True)
@options.option(
    "--task",
    section="Input",
    type=types.Name(lambda: types.TASKS),
    help=f"{', '.join(types.TASKS)}.",
    default_text="the task that the data set is annotated for",
)
@options.option(
    "--network",
    section="Model",
    type=types.NETWORK,
    default="resnet",
    help=f"A teacher network ({', '.join(registry.names('teachers'))}) or a student network "
    f"({', '.join(registry.names('students'))}).",
)
@options.width_option
@options.depth_option
@options.option(
    "--front-end",
    section="Model",
    type=types.FRONT_END,
    metavar="NAME",
    help="Input features: those of another library, e.g. panns, or a JSON file of settings. "
    "'frami list front-ends' shows all names. The mean and the deviation are those of the training "
    "clips.",
    default_text="log bands that suit the data set",
)
@options.option(
    "--filterbank",
    section="Model",
    type=types.Name(lambda: types.FILTERBANKS),
    help=f"Frequency bands of the spectrogram: {', '.join(types.FILTERBANKS)}.",
    default_text="that of the front end, mel without one",
)
@options.option(
    "--pooling",
    section="Model",
    type=types.Name(lambda: types.POOLINGS),
    help="How a detector combines its frames into an output for the clip: "
    f"{', '.join(types.POOLINGS)}.",
    default_text="attention",
)
@options.budget_options
@options.more_steps_option
@options.required_option(
    "--out",
    section="Output",
    type=types.FOLDER,
    metavar="FOLDER",
    help="Folder to write the trained model to.",
)
@cluster.stop_option
@options.settings_options
@options.runtime_options
@options.precision_option
@cluster.runs_under_torchrun
def train(
    assignments: tuple[str, ...],
    list_settings: bool,
    front_end: str | None,
    budget: str | None,
    max_kb: float | None,
    max_mmacs: float | None,
    **arguments: Unpack[TrainArguments],
) -> None:
    """Train a teacher on recordings.

    The result is a bundle: a folder with the weights, the front end and the labels. A student
    network can be trained in the same way, for comparison. If training was interrupted, run the
    same command again to continue. To train a finished model on, add --more-steps.
    """
    output.import_torch("training")
    from frami.audio.named import named_front_end
    from frami.core.progress import show_progress
    from frami.core.settings import make_settings
    from frami.evaluate.complexity import find_budget
    from frami.training.supervised import SupervisedSettings
    from frami.training.supervised import train as run_train

    if options.print_settings(list_settings, SupervisedSettings):
        return
    settings = options.parse_settings(assignments, SupervisedSettings)
    limit = find_budget(budget, max_kb, max_mmacs)
    preset = named_front_end(front_end) if front_end else None
    out, steps = arguments["out"], make_settings(SupervisedSettings, settings).steps
    planned = runs.planned_steps(out, steps, arguments["more_steps"])
    runs.check_recordings(arguments["dataset"], arguments["data"])
    with show_progress("training", planned) as report:
        model = run_train(
            **arguments, front_end=preset, budget=limit, options=settings, report=report
        )
    runs.echo_run(out, planned)
    output.show(f"Teacher {model.fingerprint} ({model.parameters:,} parameters) is in {out}.")
    output.echo_budget(limit, model)
    recordings = output.recording_words(
        arguments["dataset"], arguments["data"], arguments["test_fold"]
    )
    output.echo_next("evaluate", out, *recordings)
    output.echo_next("synthesize", "--teacher", out, "--out", "samples.h5")
