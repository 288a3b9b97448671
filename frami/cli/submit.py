"""The command that submits other commands as jobs: `submit`, through submitit.

submitit writes the batch script, starts the jobs and their logs, and submits a job again.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import click

from frami.cli import types
from frami.cli.help import Command
from frami.cli.job import Job, import_submitit
from frami.cli.options import option, required_option
from frami.core import files
from frami.core.errors import OperationError, UsageError
from frami.core.shards import make_shard
from frami.core.text import count, make_printable

MOST_STARTS = 1000


@click.command(
    cls=Command,
    examples={
        "Make a store in 8 jobs of at most 2 hours.": "frami submit --folder logs --shards 8 "
        "--minutes 120 -- synthesize --teacher TEACHER --samples 40000 --out samples.h5",
        "Train in one job on a GPU.": "frami submit --folder logs --gpus 1 --minutes 60 -- train "
        "--dataset esc50 --data DIR --test-fold 5 --out teacher",
    },
)
@required_option(
    "--folder",
    section="Output",
    type=types.FOLDER,
    metavar="FOLDER",
    help="Folder for the logs of the jobs. All machines must see it.",
)
@option(
    "--shards",
    section="Jobs",
    type=types.Integer(2),
    metavar="N",
    help="Submit N jobs. Job I gets --shard I/N, for synthesize and bench.",
    default_text="one job without --shard",
)
@option("--partition", section="Jobs", metavar="NAME", help="Partition of Slurm.")
@option(
    "--minutes",
    section="Jobs",
    type=types.Integer(2),
    default=60,
    help="Time limit of a job. One that is not done by then is submitted again.",
)
@option("--cpus", section="Jobs", type=types.Integer(1), default=1, help="CPU cores of a job.")
@option("--gpus", section="Jobs", type=types.Integer(0), default=0, help="GPUs of a job.")
@option(
    "--memory", section="Jobs", type=types.Integer(1), default=4, help="Memory of a job, in GB."
)
@option(
    "--local",
    section="Jobs",
    is_flag=True,
    help="Run all jobs on this machine at once, without Slurm, e.g. to try a command.",
)
@click.argument("words", nargs=-1, required=True, metavar="-- COMMAND", type=click.UNPROCESSED)
def submit(
    folder: str,
    shards: int | None,
    partition: str | None,
    minutes: int,
    cpus: int,
    gpus: int,
    memory: int,
    local: bool,
    words: tuple[str, ...],
) -> None:
    """Run a command in jobs of a Slurm cluster.

    Write the command after two dashes, without 'frami'. A job that reaches its time limit, is
    preempted or ends by --stop-after is submitted again, and its command continues. Needs the
    extra 'cluster'.
    """
    jobs = [Job(line, cpus) for line in _lines(words, shards)]
    _check_names(folder, partition)
    executor = _executor(folder, local)
    executor.update_parameters(
        name="frami",
        timeout_min=minutes,
        cpus_per_task=cpus,
        gpus_per_node=gpus,
        mem_gb=memory,
        **({"slurm_partition": partition} if partition else {}),
    )
    with _failed_submissions(), executor.batch():
        submitted = [executor.submit(job) for job in jobs]
    for job in submitted:
        click.echo(f"Job {job.job_id} writes to {job.paths.stdout} and {job.paths.stderr.name}.")
    click.echo(f"Submitted {count(len(submitted), 'job')}.")


def _lines(words: Sequence[str], shards: int | None) -> list[tuple[str, ...]]:
    """Return the command of each job; refuse one that frami itself would refuse."""
    root = click.get_current_context().find_root()
    assert isinstance(root.command, click.Group)
    command = root.command.get_command(root, words[0])
    if command is None or command.name == "submit":
        raise UsageError(f"{words[0]!r} is not a command to submit; frami --help lists them.")
    if shards and "shard" not in {parameter.name for parameter in command.params}:
        raise UsageError(f"frami {words[0]} has no shards. Leave out `shards`.")
    parts: list[tuple[str, ...]] = [()]
    if shards:
        if any(word.partition("=")[0] == "--shard" for word in words):
            raise UsageError("`shards` gives each job its --shard. Leave out one of the two.")
        total = make_shard((1, shards)).count
        parts = [("--shard", f"{index}/{total}") for index in range(1, total + 1)]
    for part in parts:
        command.make_context(words[0], [*words[1:], *part], parent=root).close()
    imports = [word for name in root.params["modules"] for word in ("--import", name)]
    return [(*imports, *words, *part) for part in parts]


def _check_names(folder: str, partition: str | None) -> None:
    """Refuse names that mean more than themselves in the script of a job.

    bash runs what follows a line break in the script, and Slurm and submitit replace marks such as
    %j in the names of logs.
    """
    path = str(Path(folder).resolve())
    if not path.isprintable() or set(path) & set("%\\"):
        raise UsageError(
            f"`folder` is {path!r}; Slurm would read a control character, % or \\ in it as more "
            f"than a name. Name another folder."
        )
    if partition is not None and (not partition.isprintable() or not partition or " " in partition):
        raise UsageError(
            f"`partition` is {partition!r}; it must be a name without spaces or control "
            f"characters, as sinfo lists it."
        )


def _executor(folder: str, local: bool) -> Any:
    """Return the executor of submitit for Slurm, or for this machine."""
    submitit = import_submitit()
    missing = [name for name in ("sbatch", "srun") if not shutil.which(name)]
    if not local and missing:
        raise UsageError(
            f"There is no Slurm on this machine: it has no {missing[0]}. Submit from a machine of "
            f"the cluster, or pass `local` to run the jobs here."
        )
    cluster = "local" if local else "slurm"
    starts = {f"{cluster}_max_num_timeout": MOST_STARTS}
    logs = files.ensure_dir(folder).resolve()
    executor = submitit.AutoExecutor(logs, cluster=cluster, **starts)
    # Jobs start in the current folder. Python must not search it: it may be a download.
    os.environ["PYTHONSAFEPATH"] = "1"
    executor.update_parameters(slurm_setup=["export PYTHONSAFEPATH=1"])
    return executor


@contextmanager
def _failed_submissions() -> Iterator[None]:
    """Turn the errors of submitit into one sentence; it prints those of sbatch itself, too."""
    errors = import_submitit().core.utils
    try:
        with redirect_stderr(io.StringIO()):
            yield
    except errors.FailedJobError as error:
        said = " ".join(make_printable(str(error)).split()) or "nothing"
        raise OperationError(
            f"sbatch did not take the job; it said: {said.rstrip('.')}. Correct the options, or "
            f"ask those who run the cluster."
        ) from error
    except errors.FailedSubmissionError as error:
        raise OperationError(
            "sbatch named no job in its output, so the job may wait or not; squeue lists the "
            "waiting ones. Submit the command with a script instead."
        ) from error
