"""The command line: `frami` and its commands, and how errors end it.

    training     train
    adoption     adopt
    inversion    synthesize
    distillation distill
    stores       merge, repair
    submit       submit
    advice       advise
    moments      moments
    audit        audit
    reports      evaluate, inspect
    report_page  report, listen
    prediction   predict
    export       export
    recordings   data get, data check, soundscapes
    demo_bench   demo, bench
    catalog      list
    diagnosis    doctor
    help         sections and examples of all commands, and errors that name options
    options      options that commands share
    cluster      options for several processes
    output       what commands print in common
    types        types of option values

A command imports the library when it runs, so that help is fast.
"""

from __future__ import annotations

import io
import os
import shlex
import sys
import traceback
from pathlib import Path
from typing import NoReturn

import click

from frami.cli.adoption import adopt
from frami.cli.advice import advise
from frami.cli.audit import audit
from frami.cli.catalog import list_names
from frami.cli.cluster import exit_of_torchrun, program
from frami.cli.demo_bench import bench, demo
from frami.cli.diagnosis import doctor
from frami.cli.distillation import distill
from frami.cli.export import export
from frami.cli.help import Group, Option
from frami.cli.inversion import synthesize
from frami.cli.moments import moments
from frami.cli.output import open_missing_streams, show_library_warnings
from frami.cli.prediction import predict
from frami.cli.recordings import data, soundscapes
from frami.cli.report_page import listen, report
from frami.cli.reports import evaluate, inspect
from frami.cli.stores import merge, repair
from frami.cli.submit import submit
from frami.cli.training import train
from frami.core import memory, registry
from frami.core.errors import FramiError, Stopped
from frami.core.text import make_printable, shorten

OUT_OF_MEMORY = (
    "Use smaller batches (synthesize: --batch-size; train and distill: --set batch_size=...) and "
    "a new --out, or --device cpu."
)


@click.group(
    cls=Group,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "show_default": True,
    },
    epilog="""\b
        To complete names with the Tab key, add this to ~/.bashrc (zsh: zsh_source):
          eval "$(_FRAMI_COMPLETE=bash_source frami)\"""",
)
@click.option(
    "--import",
    "modules",
    cls=Option,
    multiple=True,
    metavar="MODULE",
    help="Import a module of your own before the command runs, for models with your own network.",
)
@click.version_option(package_name="frami")
def frami(modules: tuple[str, ...]) -> None:
    """Data-free distillation and model inversion of audio classifiers.

    frami inverts a frozen teacher into synthetic spectrograms and trains a small student on them.
    Neither step reads a recording. To see it work, type: frami demo
    """
    show_library_warnings(click.get_current_context())
    for name in modules:
        registry.import_user_module(name)


frami.add_section("First steps", demo, list_names, doctor)
frami.add_section(
    "Pipeline", adopt, train, advise, synthesize, merge, repair, distill, evaluate, inspect
)
frami.add_section("Results", report, listen)
frami.add_section("Deployment", predict, export)
frami.add_section("Recordings", data, soundscapes, moments, audit)
frami.add_section("Research", bench)
frami.add_section("Cluster", submit)


def _stop(message: str, code: int) -> NoReturn:
    # A message may quote a file from an unknown source, which must not control the terminal.
    lines = [make_printable(line) for line in shorten(message).split("\n")]
    click.echo("frami: " + "\n".join(lines), err=True)
    sys.exit(code)


def _comes_of_interrupt(error: BaseException | None) -> bool:
    """Return whether an error was raised while Ctrl-C was ending the work, as torch may do."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _user_code(error: Exception) -> str | None:
    """Return a sentence that names the line of the user's own code that raised an error, if any."""
    installed = (sys.prefix, sys.base_prefix, str(Path(__file__).resolve().parents[2]), "<")
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(installed)
    ]
    if not frames:
        return None
    return f"The error came from line {frames[-1].lineno} of {frames[-1].filename}"


def main() -> None:
    """Run the command line, and exit.

    The codes are 0 (done), 1 (failed), 2 (wrong use), 75 (--stop-after) and 130 (Ctrl-C).
    """
    open_missing_streams()
    with exit_of_torchrun():
        _main()


def _main() -> None:
    command = shlex.join([*program(os.environ), *sys.argv[1:]])
    for stream in (sys.stdout, sys.stderr):  # a terminal may lack letters of a label or a path
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        frami(prog_name="frami", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(2)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "frami"
        _stop(f"{error.format_message()} Type {path} --help for help.", 2)
    except click.ClickException as error:
        _stop(error.format_message(), 2)
    except (click.Abort, KeyboardInterrupt):
        _stop(f"stopped. Finished work is kept. To continue, type: {command}", 130)
    except Stopped as error:
        _stop(f"{error} To continue, type: {command}", error.exit_code)
    except FramiError as error:
        _stop(str(error), error.exit_code)
    except BrokenPipeError:  # the program that reads the output has ended, such as head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if _comes_of_interrupt(error):
            _stop(f"stopped. Finished work is kept. To continue, type: {command}", 130)
        if memory.is_full(error):
            _stop(f"{memory.describe_full(error)} {OUT_OF_MEMORY}", 1)
        if isinstance(error, OSError):
            _stop(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}.", 1)
        if os.environ.get("FRAMI_TRACEBACK"):
            raise
        origin = _user_code(error) or "This is a bug in frami"
        hint = "set FRAMI_TRACEBACK=1 to see the traceback"
        _stop(f"{type(error).__name__}: {error}. {origin}; {hint}.", 1)
