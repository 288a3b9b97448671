"""Options that commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypedDict

import click

from frami.cli import types
from frami.cli.help import TRUST, Option, RequiredOption
from frami.core.errors import UsageError
from frami.core.time_budget import BEST, QUICK

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class RuntimeArguments(TypedDict):
    """The values of `runtime_options`."""

    seed: int
    device: str
    threads: int | None


class RecordingArguments(TypedDict):
    """The values of `recording_options` where recordings are required."""

    dataset: str
    data: str | None
    test_fold: str
    strict: bool


option = partial(click.option, cls=Option)
required_option = partial(click.option, cls=RequiredOption)


def combine_options(*options: Decorator) -> Decorator:
    """Return a decorator that adds several options in this order."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for one in reversed(options):
            function = one(function)
        return function

    return add


runtime_options = combine_options(
    option(
        "--seed",
        section="Runtime",
        type=types.Integer(0, types.MAX_SEED),
        default=0,
        help="Seed of all random numbers. Equal seeds give equal bytes with equal --threads on one "
        "machine; other thread counts round sums differently.",
    ),
    option(
        "--device",
        section="Runtime",
        type=types.Name(lambda: types.DEVICES),
        default="auto",
        help="auto, cpu, cuda or mps. auto is a CUDA GPU if there is one, else the CPU.",
    ),
    option(
        "--threads",
        section="Runtime",
        type=types.Integer(1),
        help="Number of CPU threads.",
        default_text="one per core",
    ),
)
precision_option = option(
    "--precision",
    section="Runtime",
    type=types.Name(lambda: types.PRECISIONS),
    default="auto",
    help="auto, float32 or bfloat16. auto is bfloat16 if the processor supports it.",
)
budget_options = combine_options(
    option(
        "--budget",
        section="Model",
        type=types.Name(lambda: types.BUDGETS),
        help="Fail if the model exceeds this complexity budget: dcase2023 or dcase2025 (both "
        "128,000 parameters of 1 byte, 30 M multiply-adds for a clip of 1 s).",
    ),
    option(
        "--max-kb",
        section="Model",
        type=float,
        metavar="KILOBYTES",
        help="Fail if the parameters take more than this, at 1 byte each (8-bit integers).",
    ),
    option(
        "--max-mmacs",
        section="Model",
        type=float,
        metavar="MILLIONS",
        help="Fail if the model needs more multiply-adds for a clip of 1 s, in millions.",
    ),
)
minutes_options = combine_options(
    option(
        "--minutes",
        section="Time",
        type=float,
        help="Time for clips and distillation together on this machine, measured first. Pass the "
        "same number to synthesize and distill.",
    ),
    option("--quick", section="Time", is_flag=True, help=f"The same as --minutes {QUICK:g}."),
    option("--best", section="Time", is_flag=True, help=f"The same as --minutes {BEST:g}."),
)
width_option = option(
    "--width",
    section="Model",
    type=int,
    help="Number of channels.",
    default_text="depends on the network",
)
depth_option = option(
    "--depth",
    section="Model",
    type=int,
    help="Number of layers or blocks.",
    default_text="depends on the network",
)
more_steps_option = option(
    "--more-steps",
    section="Method",
    type=types.Integer(0),
    default=0,
    help="Train the model of a finished run in --out for this number of steps more. The same "
    "number again trains nothing.",
)
set_option = option(
    "--set",
    "assignments",
    section="Settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change another setting. Repeat the option to change several.",
)
# Eager, because RequiredOption reads it.
list_settings_option = option(
    "--list-settings",
    section="Settings",
    is_flag=True,
    is_eager=True,
    help="List the settings for --set, with their defaults, and exit.",
)
settings_options = combine_options(set_option, list_settings_option)


def _remember_trust(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    context.meta[TRUST] = value


# Not an argument of the command: `Command.invoke` sets it for everything that runs within.
trust_option = option(
    "--trust-code",
    section="Input",
    is_flag=True,
    expose_value=False,
    callback=_remember_trust,
    help="Run the code that is part of an adopted model. Only for models whose origin you trust.",
)


def data_option(section: str = "Input") -> Decorator:
    """Return the option that names the folder of a data set."""
    return option(
        "--data",
        section=section,
        type=types.FOLDER,
        metavar="FOLDER",
        help="Folder of the data set, or the folder that holds it.",
        default_text="the variable FRAMI_DATA",
    )


def strict_option(section: str = "Input") -> Decorator:
    """Return the option that refuses a data set with clips that cannot be used."""
    return option(
        "--strict",
        section=section,
        is_flag=True,
        help="Stop if recordings of your own folder cannot be used, such as broken or silent "
        "files. Without it they are left out, and named.",
    )


def recording_options(
    required: bool, section: str = "Input", *, fold_required: bool | None = None
) -> Decorator:
    """Return the options that name a data set, its folder and the fold to hold out."""
    choose = required_option if required else option
    fold_required = required if fold_required is None else fold_required
    return combine_options(
        choose(
            "--dataset",
            section=section,
            type=types.DATASET,
            help="Data set of recordings, e.g. esc50, or folder for your own. "
            "'frami list datasets' shows all.",
        ),
        data_option(section),
        (required_option if fold_required else option)(
            "--test-fold",
            section=section,
            type=str,
            metavar="FOLD",
            help="Fold to hold out for testing, e.g. 5 (esc50), takes (fsdd), validation (desed). "
            "An invalid value lists the valid ones.",
        ),
        strict_option(section),
    )


def choose_minutes(minutes: float | None, quick: bool, best: bool) -> float | None:
    """Return the minutes of `minutes_options`; None if there are none."""
    if (minutes is not None) + quick + best > 1:
        raise UsageError("Give one of `minutes`, `quick` and `best`.")
    return QUICK if quick else BEST if best else minutes


def print_settings(
    requested: bool, settings: type, weights: Mapping[str, float] | None = None
) -> bool:
    """Print the settings for --set if ``requested``; return ``requested``."""
    if requested:
        from frami.core.settings import describe_settings

        for name, default, text in describe_settings(settings):
            click.echo(f"{name} = {default}   {text}")
        for name, weight in (weights or {}).items():
            click.echo(f"{name} = {weight}   weight of this loss")
    return requested


def parse_settings(
    assignments: Iterable[str], settings: type, weights: Iterable[str] = ()
) -> dict[str, Any]:
    """Return the values of --set by name."""
    from frami.core.settings import describe_settings, parse_assignments

    kinds = {name: type(default) for name, default, _ in describe_settings(settings)}
    return parse_assignments(assignments, kinds | dict.fromkeys(weights, float))
