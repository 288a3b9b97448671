"""Options of commands that share their work with other processes, or stop in time."""

from __future__ import annotations

import os

import click

from frami.cli import types
from frami.cli.options import option
from frami.core.shards import Shard, make_shard, shard_of_environment

shard_option = option(
    "--shard",
    section="Cluster",
    type=types.SHARD,
    metavar="I/N",
    help="Do one part of the work of N processes, e.g. 2/4. auto takes I and N from RANK and "
    "WORLD_SIZE (torchrun), or from a Slurm array.",
)
stop_option = option(
    "--stop-after",
    section="Cluster",
    type=float,
    metavar="MINUTES",
    help="Stop at the next boundary after this time, with the state saved and exit code 75.",
)


def choose_shard(shard: tuple[int, int] | str | None) -> Shard | None:
    """Return the shard of `shard_option`; print what ``auto`` took from the environment."""
    if shard is None:
        return None
    if not isinstance(shard, str):
        return make_shard(shard)
    chosen, sentence = shard_of_environment(os.environ)
    click.echo(sentence, err=True)
    return chosen
