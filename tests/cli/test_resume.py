"""Runs that are repeated, interrupted, killed or disturbed by another process."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import frami
from frami.core import files, locks, runtime
from frami.core.errors import OperationError
from frami.core.run import Run, read_metrics, read_record
from frami.datasets import tones
from tests.cli.conftest import FLOAT, INVERSION, TONES, TRAINING, Frami, next_commands
from tests.conftest import full_disk


def test_synthesize_with_more_samples_extends_a_finished_store(
    call: Frami, artifacts: Path, tmp_path: Path
) -> None:
    words = ["synthesize", "--teacher", artifacts / "teacher", "--out", tmp_path / "samples.h5"]
    assert call(*words, *INVERSION, "--samples", 8).code == 0
    more = call(*words, *INVERSION, "--samples", 24)
    assert more.code == 0 and "24 clips (16 new)" in more.out
    again = call(*words, *INVERSION, "--samples", 24)
    assert again.code == 0 and "24 clips (0 new)" in again.out


def test_train_leaves_a_finished_training_alone(call: Frami, tmp_path: Path) -> None:
    words = ["train", *TONES, "--width", "4", "--out", tmp_path / "teacher", *TRAINING]
    assert call(*words).code == 0
    first = (tmp_path / "teacher" / "weights.safetensors").stat().st_mtime_ns
    assert call(*words).code == 0
    assert (tmp_path / "teacher" / "weights.safetensors").stat().st_mtime_ns == first
    other = call(*words, "--seed", "1")
    assert other.code == 2 and "holds a run with other settings (seed 0, now 1)" in other.err


@pytest.mark.parametrize("command", ["train", "distill"])
def test_a_folder_with_a_model_of_other_recordings_is_refused(
    command: str, call: Frami, artifacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = ["--teacher", artifacts / "teacher"] if command == "distill" else []
    words = [command, *teacher, *TONES, "--width", "4", *TRAINING, "--out", tmp_path / "out"]
    assert call(*words).code == 0
    monkeypatch.setattr(tones, "TRAIN_PER_CLASS", 5)
    refused = call(*words)
    assert refused.code == 2 and "holds a run of other recordings than these" in refused.err


@pytest.mark.parametrize("command", ["train", "synthesize", "distill"])
def test_a_resumed_run_keeps_its_precision_and_layout(
    command: str, call: Frami, artifacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = [] if command == "train" else ["--teacher", artifacts / "teacher"]
    source = [*INVERSION, "--samples", 8] if command == "synthesize" else [*TONES, *TRAINING]
    source = [word for word in source if word not in FLOAT]
    out = tmp_path / ("out.h5" if command == "synthesize" else "out")
    words = [command, *teacher, *source, "--out", out]
    chosen = {"precision": "float32", "layout": "channels last"}

    def choose(precision: str, channels_last: bool) -> None:
        monkeypatch.setattr(runtime, "_choose", lambda device: (precision, channels_last))

    choose("float32", True)
    assert call(*words).code == 0
    folder = out.with_suffix(".run") if command == "synthesize" else out
    record = read_record(folder)
    assert {"precision": record["settings"]["precision"], "layout": record["layout"]} == chosen
    files.write_json(folder / "run.json", record | {"status": "running"})
    choose("bfloat16", False)  # as on another machine
    more = ["--samples", 16] if command == "synthesize" else []
    assert call(*words, *more).code == 0
    record = read_record(folder)
    assert {"precision": record["settings"]["precision"], "layout": record["layout"]} == chosen
    refused = call(*words, *more, "--precision", "bfloat16")
    assert refused.code == 2 and "other settings (precision " in refused.err


def test_train_that_starts_again_logs_each_step_once(call: Frami, tmp_path: Path) -> None:
    words = ["train", *TONES, "--width", "4", *TRAINING, "--out", tmp_path / "teacher"]
    assert call(*words).code == 0
    record = read_record(tmp_path / "teacher")
    files.write_json(tmp_path / "teacher" / "run.json", record | {"status": "running"})
    assert call(*words).code == 0
    assert [row["step"] for row in read_metrics(tmp_path / "teacher")] == [4]


def test_distill_with_another_teacher_is_refused_in_the_same_folder(
    call: Frami, artifacts: Path, tmp_path: Path
) -> None:
    other = frami.load(artifacts / "teacher")
    next(other.network.head.parameters()).data += 1
    other.save(tmp_path / "other")
    words = ["distill", *TONES, *TRAINING, "--out", tmp_path / "student"]
    assert call(*words, "--teacher", artifacts / "teacher").code == 0
    refused = call(*words, "--teacher", tmp_path / "other")
    assert refused.code == 2 and "holds a run with other settings (teacher " in refused.err


@pytest.mark.slow
def test_synthesize_after_ctrl_c_keeps_finished_clips_and_prints_how_to_continue(
    call: Frami, artifacts: Path, tmp_path: Path
) -> None:
    path, script = tmp_path / "my samples.h5", Path(sys.executable).with_name("frami")
    words = [
        "synthesize",
        "--teacher",
        str(artifacts / "teacher"),
        "--samples",
        "160",
        "--out",
        str(path),
        *INVERSION,
    ]
    with subprocess.Popen(
        [script, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # The background jobs of a shell, and their children, start with this signal ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        record = tmp_path / "my samples.run" / "metrics.jsonl"
        while not record.exists() and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == 130 and not out and "Traceback" not in err
    stopped = err.splitlines()[-1]
    assert stopped.startswith(
        "frami: stopped. Finished work is kept. To continue, type: frami synthesize"
    )
    with frami.Store(path) as store:
        n_clips = len(store)
    assert 8 <= n_clips < 160 and n_clips % 8 == 0
    again = call(*shlex.split(stopped.partition("type: frami ")[2]))
    assert again.code == 0 and f"160 clips ({160 - n_clips} new)" in again.out
    assert all(str(path) in shlex.split(line) for line in next_commands(again))


def test_synthesize_beside_another_process_on_the_store_is_refused(
    call: Frami, artifacts: Path, tmp_path: Path
) -> None:
    path = tmp_path / "samples.h5"
    (tmp_path / "samples.run").mkdir()
    lock = locks.acquire_lock(tmp_path / "samples.run" / "lock", "")
    try:
        words = ["--teacher", artifacts / "teacher", "--samples", "8", "--out", path, *INVERSION]
        second = call("synthesize", *words)
    finally:
        os.close(lock)
    assert second.code == 2 and "Another process is writing to" in second.err
    assert call("synthesize", *words).code == 0


@pytest.mark.slow
def test_distill_beside_another_process_in_the_folder_is_refused(
    call: Frami, artifacts: Path, tmp_path: Path
) -> None:
    code = (
        "import sys, pathlib; from frami.core.run import Run\n"
        "Run(pathlib.Path(sys.argv[1]), 'train', {})\n"
        "run = Run(pathlib.Path(sys.argv[2]), 'distill', {}); print('held', flush=True); input()"
    )
    words = ["--teacher", artifacts / "teacher", "--samples", artifacts / "samples.h5", *TRAINING]
    holder = [sys.executable, "-c", code, str(tmp_path / "left"), str(tmp_path / "student")]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        (tmp_path / "student" / "run.json").unlink()
        second = call("distill", *words, "--out", tmp_path / "student")
        other.communicate(b"\n")
    assert second.code == 2 and "Another process is at work in" in second.err
    assert call("distill", *words, "--out", tmp_path / "student").code == 0
    assert not (tmp_path / "student" / "at-work").exists()


@pytest.mark.slow
def test_run_after_an_interrupt_can_start_again_in_any_process(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from frami.core.run import Run; "
        "Run(pathlib.Path(sys.argv[1]), 'train', {})"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "out")]
    with pytest.raises(KeyboardInterrupt), Run(tmp_path / "out", "train", {}):
        other = subprocess.run(words, capture_output=True, text=True, check=False)
        assert "Another process is at work in" in other.stderr
        raise KeyboardInterrupt
    assert subprocess.run(words, check=False).returncode == 0
    with Run(tmp_path / "out", "train", {}) as again:
        again.finish()
    assert not (tmp_path / "out" / "at-work").exists()


def test_run_that_could_not_start_leaves_no_lock(tmp_path: Path) -> None:
    with pytest.raises(OperationError), full_disk(10):
        Run(tmp_path, "train", {})
    with Run(tmp_path, "train", {}) as again:
        assert not again.finished


# The code of a process that kills itself after it has saved its second state.
KILLED = """
import os, signal
from frami import cli
from frami.core import run
from frami.datasets import tones

saved = 0

def save(self, *arguments, save=run.Run.save, **keywords):
    global saved
    save(self, *arguments, **keywords)
    saved += 1
    if saved == 2:
        self.log(step=50, lost=1.0)
        os.kill(os.getpid(), signal.SIGKILL)

tones.TRAIN_PER_CLASS, tones.TEST_PER_CLASS = 4, 2
run.SECONDS_BETWEEN_CHECKPOINTS = 0.0
run.Run.save = save
cli.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", ["train", "distill", "distill --recipe frami-head", "distill --recipe dual"]
)
def test_training_after_sigkill_continues_to_the_same_weights(
    command: str, call: Frami, artifacts: Path, tmp_path: Path
) -> None:
    sources = {
        "train": [*TONES, "--width", "4", "--depth", "1"],
        "distill": [
            "--teacher",
            str(artifacts / "teacher"),
            "--samples",
            str(artifacts / "samples.h5"),
        ],
    }
    words = command.split() + sources[command.split()[0]]
    words += ["--set", "steps=60", "--set", "batch_size=4", *FLOAT, "--out"]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *words, str(tmp_path / "killed")],
        capture_output=True,
        check=False,
        env=os.environ,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert read_record(tmp_path / "killed")["status"] == "running"
    assert not (tmp_path / "killed" / "model.json").exists()
    for folder in ("killed", "whole"):
        assert call(*words, tmp_path / folder).code == 0
        assert [line["step"] for line in read_metrics(tmp_path / folder)] == [20, 40, 60]
    weights = [
        (tmp_path / folder / "weights.safetensors").read_bytes() for folder in ("killed", "whole")
    ]
    assert weights[0] == weights[1]


def test_synthesize_with_a_state_that_cannot_be_read_names_the_file(
    call: Frami, artifacts: Path, tmp_path: Path
) -> None:
    words = ["synthesize", "--teacher", artifacts / "teacher", "--out", tmp_path / "samples.h5"]
    assert call(*words, *INVERSION, "--samples", 8).code == 0
    (tmp_path / "samples.run" / "state.pt").write_bytes(b"PK\3\4")
    failed = call(*words, *INVERSION, "--samples", 16)
    assert failed.code == 1 and "state.pt cannot be read" in failed.err
    assert failed.err.count("\n") == 1
