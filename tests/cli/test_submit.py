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
SBATCH = 'cp "$1" "$SBATCH_KEEPS"; echo "Submitted batch job 42"'
SRUN = 'while [[ $1 == --* ]]; do [[ $1 == --unbuffered ]] || shift; shift; done; exec "$@"'


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONSAFEPATH", "")  # submit sets it for its jobs


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a function that writes an sbatch and an srun; it returns the script of the job."""

    def write(sbatch: str = SBATCH) -> Path:
        for name, line in (("sbatch", sbatch), ("srun", SRUN)):
            program = tmp_path / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(f"#!/bin/bash\n{line}\n", encoding="utf-8")
            program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
        monkeypatch.setenv("SBATCH_KEEPS", str(tmp_path / "script.sh"))
        return tmp_path / "script.sh"

    return write


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


def test_command_that_would_fail_is_not_submitted(
    call: Frami, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # without Slurm, where it is installed
    logs = tmp_path / "logs"
    synthesis = ["synthesize", "--teacher", "digits", "--out", tmp_path / "samples.h5"]
    for words, message in (
        (["--local", "--", "invert"], "'invert' is not a command to submit"),
        (["--local", "--", *synthesis, "--sampels", 8], "No such option '--sampels'"),
        (["--local", "--shards", 2, "--", "doctor"], "frami doctor has no shards"),
        (["--shards", 2, "--", *synthesis, "--shard", "1/2"], "Leave out one of the two."),
        (["--", *synthesis], "There is no Slurm on this machine"),
    ):
        refused = call("submit", "--folder", logs, *words)
        assert refused.code == 2 and message in refused.err, refused.err
    assert not logs.exists()
    logs.write_text("not a folder", encoding="utf-8")
    refused = call("submit", "--folder", logs, "--local", "--", "doctor")
    assert refused.code == 2 and "is a file, but a folder is needed there" in refused.err


def test_job_of_slurm_runs_nothing_of_names_or_of_the_current_folder(
    call: Frami, slurm: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, folder = slurm(), tmp_path / "download; touch x"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("submitit", "torch", "json", "h5py"):
        (folder / f"{name}.py").write_text("open('ran', 'w')\n", encoding="utf-8")
    logs = tmp_path / "$(touch ran) 'a' \"b\"; touch ran #"
    result = call("submit", "--folder", logs, "--partition", "$(touch${IFS}ran)", "--", "list")
    assert result.code == 0, result.err
    environment = {**os.environ, "SLURM_JOB_ID": "42", "PYTHONSAFEPATH": ""}
    subprocess.run(["bash", script], cwd=folder, env=environment, check=True)
    assert has_ended(logs, 42)
    assert sorted(path.suffix for path in folder.iterdir()) == [".py"] * 4


@pytest.mark.slow
def test_local_job_runs_nothing_of_the_current_folder(
    call: Frami, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, logs = tmp_path / "download", tmp_path / "logs"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("submitit", "torch", "json", "h5py"):
        (folder / f"{name}.py").write_text("open('ran', 'w')\n", encoding="utf-8")
    (job,) = submit(call, logs, "--", "list")
    wait_for(lambda: has_ended(logs, job))
    assert sorted(path.suffix for path in folder.iterdir()) == [".py"] * 4


@pytest.mark.parametrize("name", ["a\ntouch ran\n#", "%j", "a%tb", "a\\b", "a\x1b[31m"])
def test_folder_that_slurm_would_read_as_more_than_a_name_is_refused(
    call: Frami, slurm: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    script = slurm()
    result = call("submit", "--folder", tmp_path / name, "--", "doctor")
    assert result.code == 2 and "Name another folder." in result.err, result.err
    assert not script.exists() and [path.name for path in tmp_path.iterdir()] == ["bin"]


@pytest.mark.parametrize("name", ["cpu\ntouch ran\n#", "a b", "", "a\tb"])
def test_partition_that_is_no_name_is_refused(
    call: Frami, slurm: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    script = slurm()
    result = call("submit", "--folder", tmp_path / "l", "--partition", name, "--", "doctor")
    assert result.code == 2 and "as sinfo lists it" in result.err, result.err
    assert not script.exists() and not (tmp_path / "l").exists()


@pytest.mark.parametrize(
    ("sbatch", "sentence"),
    [
        ("echo 'error: no\npartition.' >&2; exit 1", "it said: error: no partition."),
        ("exit 3", "it said: nothing."),
        (r"printf '\xff\xfe'", "it said: "),
        ("echo hello", "sbatch named no job in its output"),
        ("true", "sbatch named no job in its output"),
    ],
)
def test_sbatch_that_fails_is_named_in_one_sentence(
    call: Frami, slurm: Callable[..., Path], tmp_path: Path, sbatch: str, sentence: str
) -> None:
    slurm(sbatch)
    result = call("submit", "--folder", tmp_path / "logs", "--", "doctor")
    assert result.code == 1 and sentence in result.err, result.err
    assert "bug in frami" not in result.err and result.err.count("\n") == 1


def test_machine_without_srun_is_refused(
    call: Frami, slurm: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm()
    (tmp_path / "bin" / "srun").unlink()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    result = call("submit", "--folder", tmp_path / "logs", "--", "doctor")
    assert result.code == 2 and "it has no srun" in result.err, result.err
