"""Training with two processes under torchrun: one output, and a process that is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from frami.core.run import read_metrics, read_record
from tests.cli.conftest import TRAINING, Frami

LOST = "frami: A process of this run was lost, or the run was stopped from outside."


def start(*words: object) -> subprocess.Popen[str]:
    """Start a command of frami in two processes."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command = [*torchrun, "-m", "frami", *map(str, words)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)


def distill_words(artifacts: Path) -> list[object]:
    """Return the words that distill from a store of 8 clips; 7 of them are trained on."""
    source = ["--teacher", artifacts / "teacher", "--samples", artifacts / "samples.h5"]
    return ["distill", *source, *TRAINING]


def workers(torchrun: subprocess.Popen[str]) -> list[int]:
    """Return the process ids of the two workers."""
    table = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True)
    rows = [line.split() for line in table.stdout.splitlines()[1:]]
    return [int(pid) for pid, parent in rows if int(parent) == torchrun.pid]


def wait_for_step(folder: Path, process: subprocess.Popen[str]) -> None:
    while not (folder / "metrics.jsonl").exists() and process.poll() is None:
        time.sleep(0.005)


@pytest.mark.slow
def test_lost_process_ends_the_run_which_one_process_continues(
    call: Frami, artifacts: Path, tmp_path: Path
) -> None:
    words = [*distill_words(artifacts), "--set", "steps=400"]
    process = start(*words, "--out", tmp_path / "student")
    wait_for_step(tmp_path / "student", process)
    os.kill(workers(process)[1], signal.SIGKILL)
    _, err = process.communicate()
    assert process.returncode == 1
    assert err.count("frami: ") == 1 and LOST in err, err
    assert read_record(tmp_path / "student")["status"] == "running"
    assert call(*words, "--out", tmp_path / "student").code == 0
    steps = [row["step"] for row in read_metrics(tmp_path / "student")]
    assert steps == list(range(20, 401, 20))


@pytest.mark.slow
def test_two_processes_print_and_write_once(call: Frami, artifacts: Path, tmp_path: Path) -> None:
    # The optimizer divides a gradient by its size, and so enlarges rounding from step to step.
    words = [*distill_words(artifacts), "--recipe", "sp", "--set", "steps=2"]
    process = start(*words, "--out", tmp_path / "two")
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert out.count("Student ") == 1 and err.count("training: ") <= 1
    assert "2 processes" in read_record(tmp_path / "two")["machine"]
    assert call(*words, "--out", tmp_path / "one").code == 0
    (two,), (one,) = read_metrics(tmp_path / "two"), read_metrics(tmp_path / "one")
    assert two == pytest.approx(one, rel=3e-4), json.dumps([two, one])
    process = start(*words, "--out", tmp_path / "two", "--seed", "1")
    _, err = process.communicate()
    assert err.count("frami: ") == 1 and "holds a run with other settings" in err
