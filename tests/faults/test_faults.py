"""A few faults in every long command; all of them are in `make faults`."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.digests import describe_difference, digest_folder
from tests.faults.results import Outcome, Result, add_result, read_results, tables
from tests.faults.trials import damage

JOBS = ("train", "synthesize, frami", "synthesize, shards", "distill, from", "soundscapes", "get")
KINDS = ("SIGKILL at a rename, deletion or sync", "damaged state")


def test_a_difference_of_results_is_named(tmp_path: Path) -> None:
    whole, found = tmp_path / "whole", tmp_path / "found"
    for folder in (whole, found):
        folder.mkdir()
        (folder / "run.json").write_text('{"status": "finished", "seconds": 1}')
        (folder / "weights").write_text("1")
    (found / "run.json").write_text('{"status": "finished", "seconds": 2}')
    assert describe_difference(digest_folder(whole), digest_folder(found)) == ""
    (found / "weights").write_text("2")
    (found / "weights.part").touch()
    (whole / "model").touch()
    assert describe_difference(digest_folder(whole), digest_folder(found)) == (
        "missing: model; left over: weights.part; different: weights"
    )


def test_damage_changes_a_file() -> None:
    content = bytes(range(1, 256)) * 40
    assert all(damage(content, random.Random(seed)) != content for seed in range(50))


def test_results_are_kept_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    results = [
        Result("train", "SIGKILL", 0, Outcome(hits=2)),
        Result("train", "SIGKILL", 1, Outcome(hits=3, lost="different: weights")),
        Result("train", "disk full", 0, Outcome(hits=1, refused=1)),
        Result("train", "read-only disk", 0, Outcome(skipped="needs the right to mount a disk")),
    ]
    for result in results:
        add_result(path, result)
    assert read_results(path) == results
    text = tables(results, ["SIGKILL", "disk full", "read-only disk"], ["train"])
    assert "| SIGKILL | 2 | 5 | 0 | 1 |" in text and "| train | 3 | 6 | 1 | 1 |" in text
    assert "read-only" not in text


@pytest.mark.slow
def test_nothing_is_lost_by_a_few_faults(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.faults", "--folder", str(tmp_path / "faults")]
    command += [word for job in JOBS for word in ("--job", job)]
    command += [word for kind in KINDS for word in ("--kind", kind)]
    root = Path(__file__).parents[2]
    made = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    results = read_results(tmp_path / "faults" / "results.jsonl")
    assert len(results) == len(JOBS) * len(KINDS)
    assert sum(result.outcome.hits for result in results) >= len(JOBS)
