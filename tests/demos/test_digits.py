"""The demo of digits with a fraction of its budget, and the model that it uses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import frami
from frami import cli
from frami.adoption import sources
from frami.demos import digits, soundscapes, students


def run_demo(out: Path) -> tuple[list[digits.Row], list[str]]:
    lines: list[str] = []
    rows = digits.run_digits_demo(out, samples=64, steps=10, threads=1, say=lines.append)
    return rows, lines


def test_pretrained_teacher_is_small_and_has_provenance() -> None:
    teacher = frami.load("digits")
    assert teacher.labels == tuple("0123456789")
    assert 4 * teacher.parameters < 1_500_000
    assert {"speakers", "takes", "command", "source"} <= set(teacher.provenance)


@pytest.mark.slow
def test_digits_demo_without_recordings_reports_it_and_repeats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FRAMI_DATA", raising=False)
    rows, lines = run_demo(tmp_path / "demo")
    assert [row.name for row in rows] == ["teacher", "student (frami)", "student (noise)"]
    assert rows[0].agreement == 1.0 and all(row.accuracy is None for row in rows)
    assert 4 * rows[1].model.parameters <= rows[0].model.parameters
    assert lines[0].startswith("This demo makes 64 synthetic clips")
    assert re.fullmatch(r"It will take about [\d minsh]+ on this machine\.", lines[2])
    text = "\n".join(lines)
    assert "Nothing above was measured on real speech" in text
    assert (tmp_path / "demo" / "pictures" / "grid.png").stat().st_size > 10_000
    assert str(tmp_path / "demo" / "pictures") in text
    again, lines = run_demo(tmp_path / "demo")
    assert not any("It will take" in line for line in lines)  # done already
    assert [row.model.fingerprint for row in again] == [row.model.fingerprint for row in rows]


def test_the_estimate_counts_all_clips_and_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = {"frami": 0.01}
    monkeypatch.setattr(
        sources, "seconds_per_clip", lambda teacher, source, runtime: costs[source.name]
    )
    monkeypatch.setattr(sources, "seconds_per_step", lambda *_: 0.02)
    plan = students.StudentPlan("small", 12, samples=1000, steps=200)
    options: students.RuntimeOptions = {"seed": 0, "device": "cpu", "threads": 1}
    seconds = students.estimate_seconds(frami.load("digits"), plan, options)
    assert seconds == pytest.approx(10 + 8)


@pytest.mark.recordings
def test_pretrained_teacher_classifies_real_digits() -> None:
    scores = frami.score("digits", "fsdd", test_fold="takes")
    assert scores["accuracy"] > 0.98


def test_demo_prints_a_next_command_that_can_be_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digits, "run_digits_demo", lambda *_, **__: [])
    monkeypatch.setattr(soundscapes, "run_soundscape_demo", lambda *_, **__: {})
    out = tmp_path / "my demo"
    for task, student in (
        ("digits", out / "student-frami"),
        ("events", out / "events" / "student-frami"),
    ):
        result = CliRunner().invoke(cli.frami, ["demo", "--task", task, "--out", str(out)])
        assert f"Next: frami inspect '{student}'" in result.output
