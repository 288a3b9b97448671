"""What the commands share: options, and how they speak of recordings, settings and the next command."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import partial
from typing import Any

import click

from frami.core import registry

Function = Callable[..., Any]


class RequiredOption(click.Option):
    """An option that must be given, unless settings are only to be listed."""

    def value_is_missing(self, value: Any) -> bool:
        """Tell whether the command cannot do without what was given."""
        listed = click.get_current_context().params.get("list_settings", False)
        return not listed and super().value_is_missing(value)


class PathOption(click.Path):
    """A path; an empty one, as of a variable that is not set, would be the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        if value == "":
            self.fail("it is empty; name a file or a folder.", param, ctx)
        return super().convert(value, param, ctx)


required_option = partial(click.option, required=True, cls=RequiredOption)


def combine_options(*options: Function) -> Function:
    """Return a decorator that adds several options in the order given."""

    def add(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return add


runtime_options = combine_options(
    click.option(
        "--seed",
        type=click.IntRange(0, 2**63 - 1),
        default=0,
        show_default=True,
        help="Seed of everything that is drawn.",
    ),
    click.option(
        "--device",
        default="auto",
        show_default=True,
        help="auto (a CUDA GPU, else the CPU), cpu, cuda, mps.",
    ),
    click.option(
        "--threads", type=click.IntRange(min=1), help="Threads of the CPU; by default one a core."
    ),
)
precision_option = click.option(
    "--precision", default="auto", show_default=True, help="auto, float32, bfloat16."
)
budget_option = click.option(
    "--budget",
    help="Refuse what is beyond this: dcase2023 (128,000 parameters, 30 M multiply-adds for 1 s).",
)
set_option = click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="NAME=VALUE",
    help="Another setting; --list-settings names them.",
)
# Eager: whether an option is needed is known only after it.
list_settings_option = click.option(
    "--list-settings",
    is_flag=True,
    is_eager=True,
    help="Print what --set can set, with defaults, and stop.",
)


def recording_options(required: bool) -> Function:
    """Return the options that name a data set, its folder and what is held out."""
    known = ", ".join(registry.names("datasets"))
    option = required_option if required else click.option
    return combine_options(
        option("--dataset", help=f"Data set of recordings: {known}."),
        click.option(
            "--data",
            type=PathOption(),
            help="Its folder, or one that holds it. [default: FRAMI_DATA]",
        ),
        option(
            "--test-fold",
            help="What is held out: a fold's number, 'takes' or a speaker (fsdd), 'validation' (desed), 'test' ... A wrong one "
            "is answered with those there are.",
        ),
    )


def echo_budget(name: str | None, *models: Any) -> None:
    """Print what models take of a budget, where one was named."""
    if name is not None:
        from frami.evaluate import complexity

        click.echo(complexity.check_budget(name, *models))


def print_settings(wanted: bool, settings: type, weights: Any = None) -> bool:
    """Print what --set can set, where that was asked for; return whether it was."""
    if wanted:
        from frami.core.settings import describe_settings

        for name, default, text in describe_settings(settings):
            click.echo(f"{name} = {default}   {text}")
        for name, weight in (weights or {}).items():
            click.echo(f"{name} = {weight}   weight of this objective")
    return wanted


def parse_settings(
    assignments: tuple[str, ...], settings: type, weights: Any = ()
) -> dict[str, Any]:
    """Return what --set sets."""
    from frami.core.settings import describe_settings, parse_assignments

    kinds = {name: type(default) for name, default, _ in describe_settings(settings)}
    return parse_assignments(assignments, kinds | dict.fromkeys(weights, float))


def recording_arguments(arguments: dict[str, Any]) -> list[str]:
    """Return the options that name the recordings, as they were given."""
    data = ["--data", arguments["data"]] if arguments["data"] else []
    return ["--dataset", arguments["dataset"], *data, "--test-fold", arguments["test_fold"]]


def echo_next(*words: object) -> None:
    """Print what to type next, quoted where the shell needs it."""
    context = click.get_current_context()
    networks = [
        *context.find_root().params["modules"],
        context.params.get("network"),
        context.params.get("student"),
    ]
    # What is of a network of the user's own cannot be loaded without it.
    own = [
        word
        for name in dict.fromkeys(networks)
        if name and "." in name
        for word in ("--import", name)
    ]
    click.echo(f"Next: {shlex.join(['frami', *own, *map(str, words)])}")
