"""The command that takes over a model of other code: `adopt`."""

from __future__ import annotations

from typing import Unpack

import click

from frami.cli import options, output, types
from frami.cli.help import Command
from frami.cli.options import RuntimeArguments


class AdoptArguments(RuntimeArguments):
    """What `adopt` passes on to `frami.adopt`."""

    source: str
    weights: str | None
    weights_key: str
    labels: str
    front_end: str
    sample_rate: int | None
    check: tuple[str, ...]
    tolerance: float
    layout: str | None
    task: str | None
    frame_range: tuple[int, int] | None
    features: str
    frames: str
    stats: str
    embedding: str
    logits: str
    frame_logits: str
    out: str


def _part(name: str, help: str, default_text: str) -> options.Decorator:
    """Return an option that names a module inside the network."""
    return options.option(
        name,
        section="Inside the network",
        default="",
        show_default=False,
        metavar="MODULE",
        help=help,
        default_text=default_text,
    )


@click.command(
    cls=Command,
    examples={
        "Adopt a network and compare it on a recording.": "frami adopt mylab/net.py:build "
        "--weights best.pt --labels labels.txt --front-end panns --check dog.wav=Dog --out TEACHER",
        "Name the features and the hidden state yourself.": "frami adopt mylab.net:build "
        "--labels labels.csv --front-end mylab/net.py:mel --frames block4 --out TEACHER",
    },
)
@click.argument("source", type=types.FOLDER)
@options.option(
    "--weights",
    section="Input",
    type=types.FOLDER,
    metavar="FILE",
    help="State dict, as safetensors or a torch file. Code in it is never run.",
    default_text="the function loads the weights itself",
)
@options.option(
    "--weights-key",
    section="Input",
    default="",
    show_default=False,
    metavar="KEY",
    help="Where the weights are in the file, such as ema for those averaged in training.",
    default_text="the likeliest place",
)
@options.required_option(
    "--labels",
    section="Input",
    type=types.FOLDER,
    metavar="FILE",
    help="Names of the classes in their order: one a line, a csv with a column label, or JSON.",
)
@options.required_option(
    "--front-end",
    section="Input",
    type=types.FOLDER,
    metavar="NAME",
    help="What the network takes: a preset such as librosa or panns, FILE.py:FUNCTION of your own, "
    "or a JSON file of settings.",
)
@options.option(
    "--sample-rate",
    section="Input",
    type=types.Integer(1),
    help="Rate of the waveform in Hz, for a function of your own.",
    default_text="that of the preset",
)
@options.option(
    "--check",
    section="Input",
    multiple=True,
    type=types.FOLDER,
    metavar="WAV[=CLASS]",
    help="Recording to compare the answers of the original and of the bundle on, and the class "
    "that they must give. Can be repeated.",
    default_text="a random sound",
)
@options.option(
    "--tolerance",
    section="Input",
    type=float,
    default=1e-3,
    help="Largest difference allowed.",
)
@options.option(
    "--layout",
    section="Inside the network",
    metavar="AXES",
    help="Order of the input's axes, such as b1fn, bnf or bt: b clip, f band, n frame, t sample.",
    default_text="what the network takes",
)
@options.option(
    "--task",
    section="Inside the network",
    type=types.Name(lambda: types.TASKS),
    help=f"{', '.join(types.TASKS)}.",
    default_text="what the output suggests",
)
@options.option(
    "--frame-range",
    section="Inside the network",
    nargs=2,
    type=int,
    metavar="MIN MAX",
    help="Shortest and longest clip, in frames.",
    default_text="1 to 5 s",
)
@_part("--features", "Features inside a waveform network.", "found by values")
@_part("--frames", "Hidden state before pooling over time.", "found by shapes")
@_part("--stats", "Hidden state after pooling over time.", "mean and deviation of --frames")
@_part("--embedding", "Layer before the classifier.", "input of the last layer")
@_part("--logits", "Logits of the classes.", "the output")
@_part("--frame-logits", "Logits of a detector's frames.", "found in the output")
@options.required_option(
    "--out",
    section="Output",
    type=types.FOLDER,
    metavar="FOLDER",
    help="Folder to write the bundle to.",
)
@options.runtime_options
def adopt(**arguments: Unpack[AdoptArguments]) -> None:
    """Make a teacher of a classifier that was trained elsewhere.

    SOURCE is a function without arguments that returns the torch.nn.Module: package.module:function
    or file.py:function. Its code runs, and becomes part of the bundle. The table shows the modules
    and what was chosen; MODULE:input is a module's input, MODULE[KEY] a part of its output.
    """
    from frami.adoption.adopt import adopt as run_adopt
    from frami.adoption.fitness import check_fitness

    doubts: list[str] = []
    model, out = run_adopt(**arguments, report=output.echo, warn=doubts.append), arguments["out"]
    fitness = check_fitness(
        model, seed=arguments["seed"], device=arguments["device"], threads=arguments["threads"]
    )
    for line in fitness.lines():
        output.echo(line)
    for doubt in doubts:
        output.echo(f"Warning: {doubt}")
    output.show(f"Teacher {model.fingerprint} ({model.parameters:,} parameters) is in {out}.")
    output.echo_next("inspect", out)
    output.echo_next("synthesize", "--teacher", out, "--out", "samples.h5")
