"""Run folders on the command line: how much is to do, and what to say about a run."""

from __future__ import annotations

from pathlib import Path

import click

from frami.cli import options


def planned_steps(out: str, steps: int, more_steps: int) -> int:
    """Return the number of steps of a run, or of its extension; 0 if it is finished."""
    from frami.core.extension import current_steps
    from frami.core.run import read_record

    record = read_record(out) if (Path(out) / "run.json").is_file() else {"status": ""}
    if record["status"] == "finished":
        return more_steps
    return current_steps(record, steps)[1]


def echo_run(out: str, planned: int) -> None:
    """Print what is missing of the recordings, and whether the run was finished before."""
    from frami.core.run import read_record

    record = read_record(out)
    if missing := record.get("missing"):
        options.echo(missing)
    extensions = [one["steps"] for one in record.get("extensions", [])]
    if not planned:
        steps = sum([record["settings"]["options"]["steps"], *extensions])
        click.echo(
            f"The run in {out} was finished before, after {steps:,} steps; nothing was trained. "
            f"Add --more-steps to train on."
        )
