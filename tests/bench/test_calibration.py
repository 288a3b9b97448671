"""The suite calibration: one row for teacher and student, and one for each kind of clips."""

from __future__ import annotations

from pathlib import Path

import pytest

from frami.bench import calibration
from frami.bench.calibration import Suite, Task, run_calibration_suite
from frami.datasets import tones
from frami.demos.students import RuntimeOptions, StudentPlan


@pytest.mark.slow
def test_suite_writes_a_row_for_each_kind_of_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    monkeypatch.setattr(tones, "TRAIN_PER_CLASS", 3)
    monkeypatch.setattr(tones, "TEST_PER_CLASS", 2)
    task = Task("tones", "0", None, 4, 2, StudentPlan("small", 4, 16, 2))
    monkeypatch.setattr(calibration, "TASKS", (task,))
    options: RuntimeOptions = {"seed": 0, "device": "cpu", "threads": 1}
    said: list[str] = []
    run_calibration_suite(Suite(None, tmp_path / "out", options), [], tmp_path, said.append)
    lines = (tmp_path / "calibration.md").read_text().splitlines()
    assert lines == said
    assert [line.split(" | ")[1] for line in lines[2:]] == [
        "teacher, float32",
        "student, float32",
        "INT8, synthetic clips",
        "INT8, noise",
        "INT8, recordings",
    ]
    student = lines[3].split(" | ")
    assert student[3] == "1.000"  # agreement with itself
    assert all(float(line.split(" | ")[2]) <= 1 for line in lines[2:])
