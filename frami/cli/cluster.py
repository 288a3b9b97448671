"""Options of commands that share their work with other processes, or stop in time."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from functools import wraps
from typing import ParamSpec

import click

from frami.cli import types
from frami.cli.options import option
from frami.core.shards import (
    Shard,
    make_shard,
    processes_of_launcher,
    shard_of_environment,
)

P = ParamSpec("P")

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


def runs_under_torchrun(command: Callable[P, None]) -> Callable[P, None]:
    """Let the processes of torchrun share the work of a command; only the first one prints."""

    @wraps(command)
    def run(*arguments: P.args, **options: P.kwargs) -> None:
        if processes_of_launcher(os.environ) < 2:
            return command(*arguments, **options)
        from frami.core import processes

        with processes.joined(), ExitStack() as stack:
            if processes.rank():
                nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
                stack.enter_context(redirect_stdout(nowhere))
                stack.enter_context(redirect_stderr(nowhere))
            command(*arguments, **options)

    return run


@contextmanager
def exit_of_torchrun() -> Iterator[None]:
    """End a process of torchrun at once after the block, with its exit code.

    At a usual exit, torch 2.13 sometimes aborts a process that exchanged data.
    """
    code: object = 0
    try:
        yield
    except SystemExit as error:
        code = error.code or 0
        if processes_of_launcher(os.environ) < 2:
            raise
    if processes_of_launcher(os.environ) > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def program(environment: Mapping[str, str]) -> list[str]:
    """Return the words that start frami as this process was started, for a line to type."""
    if processes_of_launcher(environment) < 2:
        return ["frami"]
    if environment.get("GROUP_WORLD_SIZE", "1") != "1":
        return ["torchrun", "...", "-m", "frami"]
    return ["torchrun", "--nproc-per-node", environment["WORLD_SIZE"], "-m", "frami"]
