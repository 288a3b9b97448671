"""What commands print in common."""

from __future__ import annotations

import importlib
import os
import shlex
import sys
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from frami.cli.help import name_options
from frami.core import code
from frami.core.text import make_printable
from frami.core.warn import FramiWarning

if TYPE_CHECKING:
    from frami.evaluate.complexity import Budget
    from frami.models.model import Model

SECONDS_OF_SILENCE = 1.5


def open_missing_streams() -> None:
    """Let the standard streams that the caller closed, as a daemon may, read and write nothing.

    Without it, a file that a command writes could get their number, and with it the words that a
    library in C writes to standard error.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def show(message: str, *, err: bool = False) -> None:
    """Print a text: names and labels in it may come from a stranger, and control the terminal."""
    click.echo(make_printable(message, "\n\t"), err=err)


def echo(message: str, *, err: bool = False) -> None:
    """Print a text of the library; parameters in backticks become options of this command."""
    show(name_options(message, click.get_current_context().command.params), err=err)


def import_torch(title: str) -> None:
    """Import torch; print that work is starting if this takes long, as on a cold disk."""
    timer = threading.Timer(SECONDS_OF_SILENCE, click.echo, (f"{title}: starting",), {"err": True})
    timer.daemon = True
    timer.start()
    try:
        importlib.import_module("torch")
    finally:
        timer.cancel()


def echo_note(message: str) -> None:
    """Print a text of the library on standard error, beside the progress."""
    echo(message, err=True)


def show_library_warnings(context: click.Context) -> None:
    """Print warnings of the library as sentences on standard error, until the command ends."""
    context.with_resource(warnings.catch_warnings())
    warnings.simplefilter("always", FramiWarning)
    show_others, shown = warnings.showwarning, set[str]()

    def show(message: Warning | str, category: type[Warning], *place: Any, **options: Any) -> None:
        if not issubclass(category, FramiWarning):
            show_others(message, category, *place, **options)
        elif str(message) not in shown:
            shown.add(str(message))
            echo_note(f"Warning: {message}")

    warnings.showwarning = show


def echo_budget(budget: Budget | None, *models: Model) -> None:
    """Print how much of a budget the models take, if there is one."""
    if budget is not None:
        from frami.evaluate import complexity

        echo(complexity.check_budget(budget, *models))


def recording_words(dataset: str, data: str | None, test_fold: str) -> list[str]:
    """Return the words that name recordings on a command line."""
    folder = ["--data", data] if data else []
    return ["--dataset", dataset, *folder, "--test-fold", test_fold]


def echo_next(*words: object) -> None:
    """Print the next command to type, quoted for the shell; it repeats the trust that it needs."""
    context = click.get_current_context()
    modules = [
        *context.find_root().params["modules"],
        context.params.get("network"),
        context.params.get("student"),
    ]
    # The next command cannot load a model of the user's own network without the import.
    imports = [
        word
        for name in dict.fromkeys(modules)
        if name and "." in name
        for word in ("--import", name)
    ]
    # A store needs its teacher's code only where the teacher is loaded.
    models = [word for word in words if "--teacher" in words or not str(word).endswith(".h5")]
    trust = ["--trust-code"] * any(code.is_needed_by(Path(str(word))) for word in models)
    show(f"Next: {shlex.join(['frami', *imports, *map(str, words), *trust])}")
