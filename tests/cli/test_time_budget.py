"""--minutes, --quick and --best: what is said, proposed, kept and refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from frami.core import time_budget
from frami.core.run import read_record
from frami.inversion import cost as inversion_cost
from frami.training import cost as training_cost
from tests.cli.conftest import FLOAT, TONES, Frami, next_commands

CLIPS = ["--batch-size", 8, "--set", "steps=1", *FLOAT]
STEPS = ["--student", "dscnn", "--set", "batch_size=8", *FLOAT]


@pytest.fixture
def slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a clip seem to take a second, and a step of distillation 15; two steps are enough."""
    monkeypatch.setattr(inversion_cost, "seconds_per_clip", lambda *_, **__: 1.0)
    monkeypatch.setattr(training_cost, "seconds_per_step", lambda *_: 15.0)
    monkeypatch.setattr(time_budget, "FEWEST_STEPS", 2)


def test_commands_say_what_they_chose_and_hand_the_minutes_on(
    call: Frami, artifacts: Path, tmp_path: Path, slow_machine: None
) -> None:
    teacher, store = artifacts / "teacher", tmp_path / "samples.h5"
    words = ["synthesize", "--teacher", teacher, "--quick", "--out", store, *CLIPS]
    made = call(*words)
    assert made.code == 0
    assert "2 min on this machine: 16 clips, in about 16 s." in made.err
    assert "--minutes 2" in next_commands(made)[1]
    words = ["distill", "--teacher", teacher, "--samples", store, "--minutes", 2]
    trained = call(*words, "--out", tmp_path / "student", *STEPS)
    assert trained.code == 0
    # Two minutes, less 16 s for the clips and the time of measuring.
    assert "2 min on this machine: 6 steps, in about 1 min 30 s." in trained.err
    assert read_record(tmp_path / "student")["settings"]["options"]["steps"] == 6
    again = call(*words, "--out", tmp_path / "student", *STEPS)
    assert again.code == 0 and "finished before, after 6 steps" in again.out


def test_recordings_take_all_minutes(
    call: Frami, artifacts: Path, tmp_path: Path, slow_machine: None
) -> None:
    words = ["distill", "--teacher", artifacts / "teacher", *TONES, "--any-teacher"]
    assert call(*words, "--minutes", 1, "--out", tmp_path / "student", *STEPS).code == 0
    assert read_record(tmp_path / "student")["settings"]["options"]["steps"] == 3


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--minutes", "soon"], "'soon' is not a valid float"),
        (["--minutes", 0], "--minutes is 0.0; it must be a number from 0.1 to 10000."),
        (["--minutes", 5, "--best"], "Give one of --minutes, --quick and --best."),
        (["--quick", "--best"], "Give one of --minutes, --quick and --best."),
        (["--minutes", 0.5], "--minutes is 0.5, too few for a round of 8 clips on this machine."),
    ],
)
def test_wrong_minutes_are_refused_in_a_sentence(
    words: list[object],
    expected: str,
    call: Frami,
    artifacts: Path,
    tmp_path: Path,
    slow_machine: None,
) -> None:
    command = ["synthesize", "--teacher", artifacts / "teacher", "--out", tmp_path / "samples.h5"]
    result = call(*command, *CLIPS, *words)
    assert result.code == 2 and expected in result.err
    assert not (tmp_path / "samples.h5").exists()


def test_numbers_beside_minutes_are_refused(
    call: Frami, artifacts: Path, tmp_path: Path, slow_machine: None
) -> None:
    teacher = ["--teacher", artifacts / "teacher"]
    both = call("synthesize", *teacher, "--best", "--samples", 8, "--out", tmp_path / "samples.h5")
    assert both.code == 2 and "Give either --samples or --minutes." in both.err
    words = ["distill", *teacher, "--samples", artifacts / "samples.h5", "--quick"]
    both = call(*words, "--set", "steps=5", "--out", tmp_path / "student")
    assert both.code == 2 and "Give either --minutes or the setting steps." in both.err


@pytest.mark.slow
def test_a_third_of_a_minute_from_end_to_end(
    call: Frami, artifacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_budget, "FEWEST_STEPS", 2)  # on a busy machine, too
    teacher, store = artifacts / "teacher", tmp_path / "samples.h5"
    made = call("synthesize", "--teacher", teacher, "--minutes", 0.3, "--out", store, *CLIPS)
    assert made.code == 0, made.err
    clips = read_record(tmp_path / "samples.run")["time_budget"]
    assert f"holds {clips['samples']:,} clips ({clips['samples']:,} new)" in made.out
    words = ["distill", "--teacher", teacher, "--samples", store, "--minutes", 0.3]
    assert call(*words, "--out", tmp_path / "student", *STEPS).code == 0
    seconds = sum(read_record(tmp_path / name)["seconds"] for name in ("samples.run", "student"))
    # 18 s, less the time of measuring; the load of the machine may change meanwhile.
    assert 4 < seconds < 54
