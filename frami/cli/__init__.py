"""The command line: what it consists of, and how it ends."""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from pathlib import Path
from typing import NoReturn

import click

from frami.cli.data import data, soundscapes
from frami.cli.demo_bench import bench, demo
from frami.cli.pipeline import distill, evaluate, inspect, synthesize, train
from frami.core import registry
from frami.core.errors import FramiError

SMALLER = "Take smaller batches (--batch-size, or of train and distill --set batch_size=...) and a new --out, or --device cpu."


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="frami")
@click.option(
    "--import",
    "modules",
    multiple=True,
    help="Import a module of your own, which bundles may then be built of.",
)
def frami(modules: tuple[str, ...]) -> None:
    """Data-free distillation and model inversion of audio classifiers.

    A frozen teacher is inverted into synthetic spectrograms, and a small student learns from those what the teacher
    knows; no recording is read in between. Begin with: frami demo
    """
    if os.getcwd() not in sys.path:  # modules of one's own lie here, as a rule
        sys.path.append(os.getcwd())
    for name in modules:
        registry.import_user_module(name)


for command in (train, synthesize, distill, evaluate, inspect, data, soundscapes, bench, demo):
    frami.add_command(command)


def _stop(message: str, code: int) -> NoReturn:
    click.echo(f"frami: {message}", err=True)
    sys.exit(code)


def _own_code(error: Exception) -> str | None:
    """Return which line of the user's own an error came through, if it came through any."""
    installed = (sys.prefix, sys.base_prefix, str(Path(__file__).resolve().parents[2]), "<")
    called = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(installed)
    ]
    return f"It came out of line {called[-1].lineno} of {called[-1].filename}" if called else None


def main() -> None:
    """Run the command line: 0 if all went well, 1 for what failed, 2 for wrong use, 130 after Ctrl-C."""
    again = shlex.join(["frami", *sys.argv[1:]])
    try:
        frami(prog_name="frami", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        _stop(f"stopped; what was finished is kept. To go on: {again}", 130)
    except FramiError as error:
        _stop(str(error), error.exit_code)
    except OSError as error:
        _stop(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}.", 1)
    except Exception as error:
        if os.environ.get("FRAMI_TRACEBACK"):
            raise
        # torch's own is named only once it has been imported.
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            _stop(f"{str(error).split('. ')[0] or 'The memory is full'}. {SMALLER}", 1)
        whose = _own_code(error) or "This is a defect of frami"
        _stop(f"{type(error).__name__}: {error}. {whose}; FRAMI_TRACEBACK=1 shows where.", 1)
