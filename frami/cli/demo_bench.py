"""The commands that show frami at work: `demo` in minutes, `bench` to compare methods."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

from frami.cli import cluster, options, output, types
from frami.cli.help import Command
from frami.cli.options import RuntimeArguments
from frami.core.errors import UsageError, unknown_name
from frami.core.stopping import make_deadline

SUITES = (
    "quick",
    "release",
    "curves",
    "audiomnist",
    "ablation",
    "shards",
    "gpu",
    "foreign",
    "tags",
    "scenes",
    "events",
    "all",
    "speed",
    "calibration",
)


@click.command(
    cls=Command,
    examples={
        "Compress a classifier of spoken digits.": "frami demo",
        "Compress a detector of sound events.": "frami demo --task events --out demo",
    },
)
@options.option(
    "--task",
    section="Input",
    type=click.Choice(["digits", "tagging", "events"]),
    default="digits",
    help="digits uses the teacher that ships with frami. tagging and events first mix soundscapes "
    "and train a teacher on them.",
)
@options.option(
    "--data",
    section="Input",
    type=types.FOLDER,
    metavar="FOLDER",
    help="With digits: folder of the recordings (fsdd) for an accuracy on real speech.",
    default_text="the variable FRAMI_DATA, if it is set",
)
@options.option(
    "--out",
    section="Output",
    default="demo",
    type=types.FOLDER,
    metavar="FOLDER",
    help="Folder to write everything to.",
)
@options.runtime_options
def demo(task: str, out: str, data: str | None, **runtime: Unpack[RuntimeArguments]) -> None:
    """Run the whole pipeline in minutes, without a download.

    The demo inverts a teacher and distills a student from the synthetic clips. It distills another
    student from noise, and compares the three models in a table.
    """
    output.import_torch("demo")
    if task == "digits":
        from frami.demos import digits

        digits.run_digits_demo(Path(out), data, say=output.echo, **runtime)
        output.echo_next("inspect", Path(out) / "student-frami")
        return
    if data:
        raise UsageError(
            f"`data` is for the digits demo; the demo of {task} mixes its own recordings."
        )
    from frami.demos import soundscapes

    soundscapes.run_soundscape_demo(Path(out), task, say=output.echo, **runtime)
    output.echo_next("inspect", Path(out) / task / "student-frami")


@click.command(
    cls=Command,
    examples={
        "Run every method on a small problem.": "frami bench --suite quick",
        "Measure the published tables, and go on where the last sitting stopped.": "frami bench "
        "--suite all --data DIR --page results --resume",
    },
)
@options.option(
    "--suite",
    section="Input",
    type=click.Choice(SUITES),
    metavar="SUITE",
    default="quick",
    help="quick is a trial of all methods. release compares all of them at small budgets, and FRAMI"
    " with recordings at full ones. curves shows quality against cost, ablation omits parts of "
    "FRAMI, shards divides its synthesis, foreign adopts networks of others; tags, scenes and "
    "events compare recipes. all is release and these. gpu gives all methods full budgets. "
    "audiomnist is FRAMI on AudioMNIST. speed measures costs. calibration compares clips to "
    "calibrate INT8 with.",
)
@options.option(
    "--data",
    section="Input",
    type=types.FOLDER,
    metavar="FOLDER",
    help="Folder that holds esc50/, fsdd/, ...",
    default_text="the variable FRAMI_DATA",
)
@options.option(
    "--task",
    "tasks",
    section="Input",
    multiple=True,
    type=types.DATASET,
    help="Measure only on this data set. Repeat the option for several.",
)
@options.option(
    "--seeds",
    section="Input",
    type=types.Integer(1),
    help="Number of seeds, counted from --seed.",
    default_text="depends on the suite",
)
@options.option(
    "--out",
    section="Output",
    default="runs/bench",
    type=types.PathOption(path_type=Path),
    metavar="FOLDER",
    help="Folder for all stores and models.",
)
@options.option(
    "--page",
    section="Output",
    type=types.PathOption(path_type=Path),
    metavar="FOLDER",
    help="Folder for the results, bench.csv and bench.md.",
    default_text="the folder of --out",
)
@options.option(
    "--resume",
    section="Output",
    is_flag=True,
    help="Keep results with the same settings, even if their models are gone.",
)
@cluster.shard_option
@cluster.stop_option
@options.runtime_options
def bench(
    suite: str,
    data: str | None,
    tasks: tuple[str, ...],
    seeds: int | None,
    out: Path,
    page: Path | None,
    resume: bool,
    shard: tuple[int, int] | str | None,
    stop_after: float | None,
    **runtime: Unpack[RuntimeArguments],
) -> None:
    """Compare methods on several data sets and seeds.

    All methods of a suite get the same number of synthetic clips and of training steps. The results
    are written as a table and as charts after each experiment. Finished experiments are not
    repeated, so a bench can be interrupted. Several processes may share a page: each takes rows
    that no other one has taken. With --shard, each has rows of its own.
    """
    from frami.bench import runner
    from frami.bench.measure import Bench

    page, seed, device, threads = (
        page or out,
        runtime["seed"],
        runtime["device"],
        runtime["threads"],
    )
    if suite in ("speed", "calibration") and (shard or stop_after):
        raise UsageError(f"The suite {suite} has neither `shard` nor `stop_after`.")
    if suite == "speed":
        if tasks or seeds or seed or resume or data:
            raise UsageError(
                "The suite speed has its own task and seed; leave out `data`, `tasks`, `seed`, "
                "`seeds` and `resume`."
            )
        _measure_speed(page, device, threads)
        return
    if suite == "calibration":
        _measure_calibration(data, out, tasks, page, runtime)
        return
    deadline = make_deadline(stop_after)
    experiments = runner.own_experiments(
        runner.list_experiments(suite, tasks, seeds, seed), cluster.choose_shard(shard)
    )
    if resume:
        experiments = runner.missing_experiments(experiments, page)
    runner.run_bench(experiments, Bench(data, out, device, threads, deadline), page, output.echo)
    output.show(f"The table is in {page / 'bench.md'}, its numbers in {page / 'bench.csv'}.")
    output.echo_next("bench", "--suite", "release" if suite == "quick" else suite, "--data", "DIR")


def _measure_speed(page: Path, device: str, threads: int | None) -> None:
    """Measure what steps and clips cost, and write the table into both pages."""
    from frami.bench import runner, speed
    from frami.core import files, locks
    from frami.core.runtime import select_runtime

    speed.run_speed_suite(select_runtime(device, threads), page, output.echo)
    with locks.exclusive(files.ensure_dir(page)):
        runner.write_report(page, runner.read_rows(page))
    output.show(f"The table is in {page / 'speed.md'}, and in {page / 'bench.md'}.")


def _measure_calibration(
    data: str | None, out: Path, tasks: tuple[str, ...], page: Path, runtime: RuntimeArguments
) -> None:
    """Compare three sources of clips to calibrate INT8 with."""
    from frami.bench.calibration import FILE_NAME, TASKS, Suite, run_calibration_suite

    known = [task.dataset for task in TASKS]
    for dataset in tasks:
        if dataset not in known:
            raise unknown_name("data set in suite calibration:", dataset, known)
    run_calibration_suite(Suite(data, out, runtime), tasks, page, output.echo)
    output.show(f"The table is in {page / FILE_NAME}.")
