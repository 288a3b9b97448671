"""The commands that repeat runs: they parse, and frami takes each as the run that it repeats."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

import frami
from frami.core.run import Run
from frami.datasets import tones
from frami.reporting.found_runs import FoundRun, find_runs
from frami.reporting.repeat import repeat_command
from tests.cli.conftest import parse_line
from tests.conftest import FAST

TRAINING: dict[str, Any] = {"options": {"steps": 4, "batch_size": 8}, "precision": "float32"}


def commands(*paths: Path) -> list[list[str]]:
    """Return the words of the command of each run, after checking that frami parses them."""
    runs = find_runs(paths)
    lines = [join(repeat_command(run, runs)) for run in runs]
    for line in lines:
        parse_line(line)
    return [shlex.split(line) for line in lines]


def join(rows: str) -> str:
    """Return the line that a shell reads from rows."""
    return rows.replace("\\\n", "")


@pytest.mark.slow
def test_repeated_commands_find_the_work_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tones, "TRAIN_PER_CLASS", 4)
    monkeypatch.setattr(tones, "TEST_PER_CLASS", 2)
    teacher, store, student = (tmp_path / name for name in ("a teacher", "s.h5", "student"))
    frami.train("tones", test_fold=0, out=teacher, width=4, depth=1, seed=3, **TRAINING)
    options = {**FAST, "synthesizer.balance": 2}
    made: dict[str, Any] = {
        "samples": 24,
        "batch_size": 8,
        "mix": {"synthesizer": 0.4},
        "precision": "float32",
    }
    frami.synthesize(teacher, store, options=options, frame_range=(20, 24), seed=3, **made).close()
    frami.distill(teacher, samples=store, out=student, width=4, recipe="frami-head", **TRAINING)
    lines = commands(teacher, store, student)
    assert [line[1] for line in lines] == ["train", "synthesize", "distill"]
    for line, folder in zip(lines, (teacher, store.with_suffix(".run"), student), strict=True):
        before = json.loads((folder / "run.json").read_text())
        monkeypatch.setattr("sys.argv", [*line, "--threads", "1"])
        frami_cli()
        # A run with other settings in this folder would have been refused.
        after = json.loads((folder / "run.json").read_text())
        assert after["settings"] == before["settings"] and after["id"] == before["id"]
    assert "(0 new)" in capsys.readouterr().out


def frami_cli() -> None:
    """Run the command line on sys.argv; a failure ends the test."""
    from frami import cli

    cli.main()


def record(folder: Path, command: str, settings: dict[str, Any]) -> FoundRun:
    """Return a run with this record."""
    with Run(folder, command, settings) as run:
        run.finish()
    return find_runs([folder])[0]


def test_command_of_recordings_names_what_the_report_lacks(tmp_path: Path) -> None:
    settings = {
        "source": {"dataset": "esc50", "test_fold": "5"},
        "teacher": "ab+cd",
        "student": "small",
        "arguments": {"width": 8},
        "recipe": "kd",
        "weights": {"logits": 1.0},
        "options": {"steps": 7, "mixup": 0.5, "splice": 0.25},
        "seed": 2,
        "precision": "float32",
    }
    run = record(tmp_path / "it's", "distill", settings)
    words = shlex.split(join(repeat_command(run, [run])))
    expected = (
        "frami distill --teacher TEACHER --teacher TEACHER --dataset esc50 --data DATA "
        "--test-fold 5 --student small --width 8 --recipe kd --set steps=7 --set splice=0.25 "
        "--seed 2 --precision float32"
    )
    assert words == [*expected.split(), "--out", str(tmp_path / "it's")]


def test_command_of_a_stranger_is_one_line_for_the_shell(tmp_path: Path) -> None:
    settings = {"dataset": "x; rm -rf ~", "test_fold": "$(id)", "network": "`id`\nid", "seed": 0}
    run = record(tmp_path / "run", "train", settings)
    words = shlex.split(join(repeat_command(run, [run])))
    assert {"x; rm -rf ~", "$(id)"} <= set(words) and words[0] == "frami"
    assert "`id` id" in words


def test_a_record_of_another_command_has_no_command(tmp_path: Path) -> None:
    run = record(tmp_path / "run", "soundscapes", {"seed": 0})
    assert repeat_command(run, [run]) == ""


@pytest.mark.parametrize(
    ("method", "shares", "words"),
    [
        ("frami", {"synthesizer": 0.5}, []),
        ("frami", {}, ["--mix", "none"]),
        ("frami", {"synthesizer": 0.3}, ["--mix", "synthesizer=0.3"]),
        ("noise", {}, []),
        ("lab.mine", {}, ["--mix", "none"]),
    ],
)
def test_command_has_the_mix_that_is_not_the_default(
    method: str, shares: dict[str, float], words: list[str], tmp_path: Path
) -> None:
    mix = [{"method": name, "share": share} for name, share in shares.items()]
    run = record(tmp_path / "a.run", "synthesize", {"method": method, "mix": mix})
    line = shlex.split(join(repeat_command(run, [run])))
    at = line.index("--mix") if "--mix" in line else len(line)
    assert line[at : at + 2] == words


def test_command_of_a_shard_names_the_plan_and_its_file(tmp_path: Path) -> None:
    settings = {
        "method": "noise",
        "batch_size": 64,
        "shard": {"index": 2, "count": 3, "rounds": 5},
    }
    run = record(tmp_path / "my samples.shard-2-of-3.run", "synthesize", settings)
    words = shlex.split(join(repeat_command(run, [run])))
    assert words[words.index("--shard") + 1] == "2/3"
    assert words[words.index("--samples") + 1] == "320"
    assert words[words.index("--out") + 1] == str(tmp_path / "my samples.h5")
