"""Work that is divided among processes, killed, stopped in time, and joined again."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from frami.core.run import read_metrics, read_record
from tests.cli.conftest import INVERSION, TONES, TRAINING, Frami
from tests.data.stores import read_columns

SCRIPT = Path(sys.executable).with_name("frami")


def start(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen([SCRIPT, *map(str, words)], stderr=subprocess.PIPE, text=True)


def wait_for_round(folder: Path, process: subprocess.Popen[str]) -> None:
    while not (folder / "metrics.jsonl").exists() and process.poll() is None:
        time.sleep(0.005)


@pytest.mark.slow
def test_killed_shard_costs_nothing_but_its_round(
    call: Frami, artifacts: Path, tmp_path: Path
) -> None:
    words = ["synthesize", "--teacher", artifacts / "teacher", "--samples", "160", *INVERSION]
    for index in (1, 2):
        assert call(*words, "--out", tmp_path / "calm.h5", "--shard", f"{index}/2").code == 0
    plan = [*words, "--out", tmp_path / "samples.h5", "--shard"]
    killed, other = (start(*plan, f"{index}/2") for index in (1, 2))
    wait_for_round(tmp_path / "samples.shard-1-of-2.run", killed)
    killed.send_signal(signal.SIGSTOP)  # so that it does not finish
    second = call(*plan, "1/2")
    assert second.code == 2 and "Another process is writing to" in second.err
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    other.communicate()
    assert killed.returncode == -signal.SIGKILL and other.returncode == 0
    joined = [*(tmp_path / f"samples.shard-{index}-of-2.h5" for index in (2, 1))]
    out = ["--out", tmp_path / "samples.h5"]
    incomplete = call("merge", *joined, *out)
    assert incomplete.code == 1 and "of its 80 clips" in incomplete.err
    again = call(*plan, "1/2")
    assert again.code == 0 and "80 clips" in again.out
    assert "When all 2 shards are made: frami merge " in again.out
    merged = call("merge", *joined, *out)
    assert merged.code == 0 and "samples.h5 is whole" in merged.out
    calm = [*(tmp_path / f"calm.shard-{index}-of-2.h5" for index in (1, 2))]
    assert call("merge", *calm, "--out", tmp_path / "calm.h5").code == 0
    assert read_columns(tmp_path / "samples.h5") == read_columns(tmp_path / "calm.h5")
    assert (tmp_path / "samples.h5").read_bytes() == (tmp_path / "calm.h5").read_bytes()


def test_shard_of_the_environment_is_taken_only_if_asked_for_and_named(
    call: Frami, artifacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["synthesize", "--teacher", artifacts / "teacher", "--samples", 16, *INVERSION]
    words += ["--method", "noise", "--out", tmp_path / "samples.h5"]
    words = [word for word in words if "=" not in str(word) and word != "--set"]
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert call(*words).code == 0 and (tmp_path / "samples.h5").is_file()
    shard = call(*words, "--shard", "auto")
    assert shard.code == 0 and "This is shard 2 of 2, by RANK=1 WORLD_SIZE=2." in shard.err
    assert (tmp_path / "samples.shard-2-of-2.h5").is_file()
    for text, message in (
        ("3/2", "--shard is 3/2, but the shards of 2 are 1/2 to 2/2"),
        ("half", "'half' is not of the form I/N"),
        ("1/2/3", "not of the form"),
    ):
        refused = call(*words, "--shard", text)
        assert refused.code == 2 and message in refused.err, refused.err


@pytest.mark.parametrize("command", ["synthesize", "train", "distill"])
def test_stop_after_saves_the_state_and_exits_with_75(
    command: str, call: Frami, artifacts: Path, tmp_path: Path
) -> None:
    teacher = [] if command == "train" else ["--teacher", artifacts / "teacher"]
    long = [*TONES, *TRAINING, "--set", "steps=44"]
    source = [*INVERSION, "--samples", 24] if command == "synthesize" else long
    out = tmp_path / ("out.h5" if command == "synthesize" else "out")
    folder = out.with_suffix(".run") if command == "synthesize" else out
    words = [command, *teacher, *source, "--out", out]
    stopped = call(*words, "--stop-after", "0.001")
    left = "16 of 24 clips" if command == "synthesize" else "24 of 44 steps"
    assert stopped.code == 75 and f"as --stop-after asks. The state is saved. Left: {left}." in (
        stopped.err
    )
    assert f"To continue, type: frami {command}" in stopped.err
    assert read_record(folder)["status"] == "running" and (folder / "state.pt").is_file()
    assert call(*words).code == 0
    counter = "round" if command == "synthesize" else "step"
    rows = [row[counter] for row in read_metrics(folder)]
    assert rows == ([1, 2, 3] if command == "synthesize" else [20, 40, 44])
    refused = call(*words, "--stop-after", "0")
    assert refused.code == 2 and "--stop-after is 0" in refused.err
