"""The command that makes synthetic clips: `synthesize`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import click

from frami.cli import cluster, options, output, runs, types
from frami.cli.help import Command
from frami.cli.options import RuntimeArguments
from frami.core.text import count

if TYPE_CHECKING:
    from frami.data.store import Store
    from frami.inversion.mixture import Part
    from frami.models.model import Model


class SynthesizeArguments(RuntimeArguments):
    """What `synthesize` passes on to `frami.synthesize`."""

    samples: int | None
    out: str
    method: str
    frame_range: tuple[int, int] | None
    batch_size: int
    co_occurrence: float
    precision: str
    moments: str | None
    warm_start: str | None
    stop_after: float | None


@click.command(
    cls=Command,
    examples={
        "Invert the teacher that ships with frami.": "frami synthesize --teacher digits "
        "--samples 1000 --out samples.h5",
        "Use another method and change its settings.": "frami synthesize --teacher TEACHER "
        "--method deepinversion --set steps=200 --out samples.h5",
    },
)
@options.required_option(
    "--teacher",
    section="Input",
    type=types.MODEL,
    metavar="MODEL",
    help="Teacher to invert: the folder of a bundle, or digits, which ships with frami.",
)
@options.trust_option
@options.required_option(
    "--out",
    section="Output",
    type=types.FOLDER,
    metavar="FILE",
    help="Store to write or to extend, a file that ends in .h5.",
)
@options.option(
    "--samples",
    section="Output",
    type=types.Integer(1),
    help="Number of clips in the finished store, rounded up to whole batches.",
    default_text="4000",
)
@options.minutes_options
@options.option(
    "--method",
    section="Method",
    type=types.METHOD,
    default="frami",
    help="Inversion method. 'frami list methods' shows all.",
)
@options.option(
    "--mix",
    section="Method",
    multiple=True,
    type=types.Share(),
    metavar="METHOD=SHARE",
    help="Have another method make a share of the rounds, e.g. synthesizer=0.3. Repeat the option "
    "for several; none stands for no other method. Settings of another method have its name in "
    "front: --set synthesizer.balance=4.",
    default_text="none; the method frami: synthesizer=0.5",
)
@options.option(
    "--frame-range",
    section="Method",
    nargs=2,
    type=int,
    metavar="MIN MAX",
    help="Shortest and longest clip, in frames.",
    default_text="as the teacher's training clips; the method frami: at most 80 for single-label "
    "teachers",
)
@options.option(
    "--batch-size",
    section="Method",
    type=types.Integer(2),
    default=64,
    help="Number of clips per round.",
)
@options.option(
    "--co-occurrence",
    section="Method",
    type=float,
    default=0.0,
    help="How strongly to favor tag pairs with similar class weights, 0 to 1000. 0 is uniform; "
    "try 5.",
)
@options.option(
    "--moments",
    section="Input",
    type=types.FOLDER,
    metavar="FILE",
    help="Moments of recordings that 'frami moments' computed, as a prior for a teacher with few "
    "batch norms.",
)
@options.option(
    "--warm-start",
    section="Input",
    type=types.FOLDER,
    metavar="FILE",
    help="Finished store of this teacher: the method goes on with what it has learned there. All "
    "shards of a plan can begin at one store.",
)
@cluster.shard_option
@cluster.stop_option
@options.settings_options
@options.runtime_options
@options.precision_option
def synthesize(
    teacher: str,
    mix: tuple[tuple[str, float] | str, ...],
    assignments: tuple[str, ...],
    list_settings: bool,
    shard: tuple[int, int] | str | None,
    minutes: float | None,
    quick: bool,
    best: bool,
    **arguments: Unpack[SynthesizeArguments],
) -> None:
    """Invert a teacher into a store of synthetic spectrograms.

    The teacher stays frozen. The store is one HDF5 file with clips of every class: half of them are
    inverted from the teacher, half are random sounds that it labels. If the command was
    interrupted, run it again to continue. To add clips later, run it again with more --samples.
    With --minutes, the speed of this machine decides how many clips there are. With --shard I/N,
    N processes share the work; frami merge joins their stores.
    """
    output.import_torch("synthesis")
    from frami.core.progress import show_progress
    from frami.data.store import store_run_folder
    from frami.inversion.method import load_method
    from frami.inversion.mixture import plan_parts
    from frami.inversion.synthesize import SAMPLES
    from frami.inversion.synthesize import synthesize as run_synthesize
    from frami.models.model import load

    method = arguments["method"]
    if options.print_settings(list_settings, load_method(method).Settings):
        return
    minutes = options.choose_minutes(minutes, quick, best)
    own = cluster.choose_shard(shard)
    model, shares = load(teacher), types.parse_mix(mix)
    settings = _parse_settings(assignments, method, shares)
    parts = plan_parts(model, method, shares, settings, arguments["moments"])
    for part in parts:
        if dataset := getattr(part.settings, "dataset", None):
            runs.check_recordings(dataset, getattr(part.settings, "data", None))
    out = own.path(Path(arguments["out"])) if own else Path(arguments["out"])
    n_before = _count_clips(out)
    if minutes is None:
        rounds = -(-(arguments["samples"] or SAMPLES) // arguments["batch_size"])
        arguments["samples"] = rounds * arguments["batch_size"]  # a round is made whole
    with show_progress("synthesis", arguments["samples"]) as report:
        store = run_synthesize(
            model,
            **arguments,
            minutes=minutes,
            shard=(own.index, own.count) if own else None,
            mix=shares,
            options=settings,
            report=report,
            announce=output.echo_note,
        )
    output.show(
        f"{out} holds {count(len(store), 'clip')} ({len(store) - n_before} new). "
        f"The record of the run is in {store_run_folder(out)}."
    )
    _echo_clips(store, model, parts)
    _echo_next(teacher, out, arguments["out"], own.count if own else 0, minutes)


def _count_clips(out: Path) -> int:
    """Return the number of clips that a store has already."""
    from frami.data.store import Store

    if not out.is_file():
        return 0
    with Store(out) as store:
        return len(store)


def _echo_clips(store: Store, teacher: Model, parts: Sequence[Part]) -> None:
    """Print where the clips come from, and what the teacher answers to them."""
    from frami.data.composition import describe_answers, describe_origins
    from frami.inversion.checks import describe_priors

    if len(parts) > 1:
        output.show(f"Methods: {describe_origins(store)}.")
    output.echo(describe_priors(teacher, parts[0].settings))
    for line in describe_answers(store):
        output.show(line)


def _echo_next(teacher: str, store: Path, out: str, shards: int, minutes: float | None) -> None:
    """Print the commands that use a store, or that merge all shards of ``out``."""
    if shards:
        files = f"{shlex.quote(str(Path(out).with_suffix('')))}.shard-*-of-{shards}.h5"
        output.show(
            f"When all {shards} shards are made: frami merge {files} --out {shlex.quote(out)}"
        )
        return
    output.echo_next("inspect", store)
    budget = [] if minutes is None else ["--minutes", f"{minutes:g}"]
    words = ["--teacher", teacher, "--samples", store, "--student", "small", *budget]
    output.echo_next("distill", *words, "--out", "STUDENT")


def _parse_settings(
    assignments: tuple[str, ...], method: str, mix: Mapping[str, float] | None
) -> dict[str, Any]:
    """Return the values of --set by name; those of another method keep its name in front."""
    from frami.core.settings import describe_settings, parse_assignments
    from frami.inversion.method import load_method

    mix = load_method(method).Settings.default_mix if mix is None else mix
    kinds: dict[str, type] = {}
    for prefix, name in (("", method), *((f"{other}.", other) for other in mix)):
        for setting, default, _ in describe_settings(load_method(name).Settings):
            kinds[prefix + setting] = type(default)
    return parse_assignments(assignments, kinds)
