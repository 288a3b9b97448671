"""frami at work: a demo in minutes, and the bench that compares methods."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from frami.cli import options
from frami.core.errors import UsageError


@click.command()
@click.option(
    "--task",
    type=click.Choice(["digits", "tagging", "events"]),
    default="digits",
    show_default=True,
    help="Spoken digits by the shipped teacher; or tags, or events, of soundscapes mixed for the demo.",
)
@click.option(
    "--out",
    default="demo",
    show_default=True,
    type=options.PathOption(),
    help="Folder for all that the demo makes.",
)
@click.option(
    "--data",
    type=options.PathOption(),
    help="Recordings (fsdd) to measure digits with. [default: FRAMI_DATA, if set]",
)
@options.runtime_options
def demo(task: str, out: str, data: str | None, **arguments: Any) -> None:
    """Invert a teacher and distil a student from that, in minutes, with no download."""
    if task == "digits":
        from frami.demos import digits

        digits.run_digits_demo(Path(out), data, say=click.echo, **arguments)
    elif data:
        raise UsageError(
            f"--data is for the digits; the demo of {task} mixes its recordings itself."
        )
    else:
        from frami.demos import soundscapes

        soundscapes.run_soundscape_demo(Path(out), task, say=click.echo, **arguments)
    options.echo_next("inspect", Path(out) / ("" if task == "digits" else task) / "student-frami")


@click.command()
@click.option(
    "--suite",
    type=click.Choice(
        ["quick", "main", "ablation", "cpu", "gpu", "tags", "scenes", "events", "speed"]
    ),
    default="quick",
    show_default=True,
    help="quick, cpu, gpu: every method; main, ablation: FRAMI, full and in parts; tags, scenes, events: recipes; "
    "speed: costs as ratios.",
)
@click.option(
    "--data",
    type=options.PathOption(),
    help="Folder that holds esc50/, fsdd/, ... [default: FRAMI_DATA]",
)
@click.option(
    "--task", "tasks", multiple=True, help="Only this data set; may be given more than once."
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    help="Number of seeds, from --seed on. [default: the suite's own]",
)
@click.option(
    "--out",
    default="runs/bench",
    show_default=True,
    type=options.PathOption(path_type=Path),
    help="For all pieces.",
)
@click.option(
    "--page",
    type=options.PathOption(path_type=Path),
    help="Folder of bench.csv and bench.md. [default: --out]",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Keep rows that the page has with these settings, even without their models.",
)
@options.runtime_options
def bench(
    suite: str, tasks: tuple[str, ...], seeds: int | None, seed: int, resume: bool, **arguments: Any
) -> None:
    """Compare methods: data set x method x seed at an equal budget; writes a table and pictures."""
    from frami.bench import runner

    page = arguments.pop("page") or arguments["out"]
    if suite == "speed":
        if tasks or seeds or seed or resume or arguments["data"]:
            raise UsageError(
                "The suite speed has a task and a seed of its own; leave out --data, --task, --seed, --seeds and --resume."
            )
        from frami.bench import speed
        from frami.core import files
        from frami.core.runtime import select_runtime

        speed.run_speed_suite(
            select_runtime(arguments["device"], arguments["threads"]), page, click.echo
        )
        with files.exclusive(files.ensure_dir(page)):
            runner.write_report(page, runner.read_rows(page))
        click.echo(f"The table is in {page / 'speed.md'}, and in {page / 'bench.md'}.")
        return
    wanted = runner.list_experiments(suite, tasks, seeds, seed)
    if resume:
        wanted = runner.missing_experiments(wanted, page)
    runner.run_bench(wanted, runner.Bench(**arguments), page, click.echo)
    click.echo(f"The table is in {page / 'bench.md'}, its numbers in {page / 'bench.csv'}.")
    options.echo_next("bench", "--suite", "cpu" if suite == "quick" else suite, "--data", "DIR")
