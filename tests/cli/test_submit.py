"""Commands as jobs: submitted through submitit, preempted, out of time, and refused."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from frami.core.run import read_metrics, read_record
from tests.cli.conftest import INVERSION, TRAINING, Frami

pytest.importorskip("submitit")
# The jobs outlive the command that submits them.
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")


def wait_for(condition: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def child_of(parent: int) -> int:
    """Return the process id of the only child of a process."""
    table = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True)
    rows = [line.split() for line in table.stdout.splitlines()[1:]]
    (child,) = [int(pid) for pid, of in rows if int(of) == parent]
    return child


def submit(call: Frami, logs: Path, *words: object) -> list[int]:
    """Submit a command to this machine; return the process ids of its jobs."""
    result = call("submit", "--folder", logs, "--local", *words)
    assert result.code == 0, result.err
    return [int(line.split()[1]) for line in result.out.splitlines() if line.startswith("Job ")]


def has_ended(logs: Path, job: int) -> bool:
    return (logs / f"{job}_0_result.pkl").is_file()


@pytest.mark.slow
def test_preempted_shard_is_submitted_again_and_goes_on(
    call: Frami, artifacts: Path, tmp_path: Path
) -> None:
    logs, out = tmp_path / "logs", tmp_path / "samples.h5"
    plan = ["synthesize", "--teacher", artifacts / "teacher", "--samples", 480, *INVERSION]
    first, second = submit(call, logs, "--shards", 2, "--", *plan, "--out", out)
    folder = tmp_path / "samples.shard-1-of-2.run"
    wait_for((folder / "metrics.jsonl").exists)
    os.kill(child_of(first), signal.SIGUSR2)  # what Slurm sends
    wait_for(lambda: has_ended(logs, first) and has_ended(logs, second))
    assert "Requeued job" in (logs / f"{first}_0_log.out").read_text(encoding="utf-8")
    assert [row["round"] for row in read_metrics(folder)] == list(range(1, 31))
    shards = [tmp_path / f"samples.shard-{index}-of-2.h5" for index in (1, 2)]
    assert "samples.h5 is whole" in call("merge", *shards, "--out", out).out


@pytest.mark.slow
def test_job_that_stops_in_time_is_submitted_again(
    call: Frami, artifacts: Path, tmp_path: Path
) -> None:
    logs, out = tmp_path / "logs", tmp_path / "student"
    source = ["--teacher", artifacts / "teacher", "--samples", artifacts / "samples.h5"]
    settings = [*TRAINING, "--set", "steps=44", "--stop-after", "0.001"]
    (job,) = submit(call, logs, "--", "distill", *source, *settings, "--out", out)
    wait_for(lambda: has_ended(logs, job))
    log = (logs / f"{job}_0_log.out").read_text(encoding="utf-8")
    assert log.count("Requeued job") == 2, log
    assert [row["step"] for row in read_metrics(out)] == [20, 40, 44]
    assert read_record(out)["status"] == "finished"


def test_command_that_would_fail_is_not_submitted(call: Frami, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    synthesis = ["synthesize", "--teacher", "digits", "--out", tmp_path / "samples.h5"]
    for words, message in (
        (["--local", "--", "invert"], "'invert' is not a command to submit"),
        (["--local", "--", *synthesis, "--sampels", 8], "No such option '--sampels'"),
        (["--local", "--shards", 2, "--", "doctor"], "frami doctor has no shards"),
        (["--", *synthesis], "There is no Slurm on this machine"),
    ):
        refused = call("submit", "--folder", logs, *words)
        assert refused.code == 2 and message in refused.err, refused.err
    assert not logs.exists()
