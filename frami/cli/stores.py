"""The commands for stores: `merge` joins them, `repair` keeps the good clips of a damaged one."""

from __future__ import annotations

import click

from frami.cli import options, output, types
from frami.cli.help import Command
from frami.core.text import count


@click.command(
    cls=Command,
    examples={
        "Join two stores of one teacher.": "frami merge inverted.h5 sounds.h5 --out both.h5",
        "Join the shards of a plan.": "frami merge samples.shard-1-of-2.h5 "
        "samples.shard-2-of-2.h5 --out samples.h5",
    },
)
@click.argument("stores", nargs=-1, required=True, type=types.FOLDER, metavar="STORE...")
@options.required_option(
    "--out",
    section="Output",
    type=types.FOLDER,
    metavar="FILE",
    help="Store to write, a new file that ends in .h5.",
)
@options.option(
    "--virtual",
    section="Output",
    is_flag=True,
    help="Refer to the shards of a plan instead of copying their clips. They must lie in the "
    "folder of the new store, or below it, and stay there.",
)
def merge(stores: tuple[str, ...], out: str, virtual: bool) -> None:
    """Join stores of one teacher into a new one.

    The stores must have the same teacher, front end and labels. Methods, seeds and lengths of clips
    may differ; each clip keeps its method, seed and round. The stores are interleaved, so that the
    clips that distillation holds out come from all of them.

    The shards of a plan (frami synthesize --shard) are joined in the order of their rounds, and
    only if none is missing.
    """
    from frami.data.composition import describe_origins
    from frami.data.merge import merge as run_merge
    from frami.data.shards import describe_shards

    with run_merge(list(stores), out, virtual=virtual) as store:
        output.show(f"{out} holds {count(len(store), 'clip')}: {describe_origins(store)}.")
        if sentence := describe_shards(store):
            output.show(sentence)
    output.echo_next("inspect", out)
    output.echo_next(
        "distill",
        "--teacher",
        "TEACHER",
        "--samples",
        out,
        "--student",
        "small",
        "--out",
        "STUDENT",
    )


@click.command(
    cls=Command,
    examples={
        "Keep the good clips of a damaged store.": "frami repair samples.h5 --out good.h5",
        "Keep the clips of a copy that was cut off.": "frami repair part.h5 --out good.h5",
    },
)
@click.argument("store", type=types.FOLDER)
@options.required_option(
    "--out",
    section="Output",
    type=types.FOLDER,
    metavar="FILE",
    help="Store to write, a new file that ends in .h5.",
)
def repair(store: str, out: str) -> None:
    """Copy the good clips of a damaged store into a new one.

    A clip is good if all its parts have their checksums. The store may be cut off. The command
    prints how many clips were lost; the file OUT.run/run.json has their numbers.
    """
    from frami.core.progress import show_progress
    from frami.data.repair import repair as run_repair

    with show_progress("checking clips", None) as report:
        condition = run_repair(store, out, report)
    output.show(condition.describe())
    good = condition.clips - len(condition.lost)
    which = "the other" if len(condition.lost) else "all"
    output.show(f"{out} holds {which} {count(good, 'clip')}.")
    output.echo_next("inspect", out)
