"""The demo on the model that ships with the package, at a fraction of its budget."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import frami
from frami import cli
from frami.datasets import tones
from frami.demos import digits, soundscapes


def run(out: Path) -> tuple[list[digits.Row], list[str]]:
    said: list[str] = []
    rows = digits.run_digits_demo(out, samples=64, steps=10, threads=1, say=said.append)
    return rows, said


def test_shipped_teacher_is_small_and_says_where_it_is_from() -> None:
    teacher = frami.load("digits")
    assert teacher.labels == tuple("0123456789")
    assert 4 * teacher.parameters < 1_500_000
    assert {"speakers", "takes", "command", "source"} <= set(teacher.provenance)


def test_demo_without_recordings_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FRAMI_DATA", raising=False)
    rows, said = run(tmp_path)
    assert [row.name for row in rows] == ["teacher", "student (frami)", "student (noise)"]
    assert rows[0].agreement == 1.0 and all(row.accuracy is None for row in rows)
    assert 4 * rows[1].model.parameters <= rows[0].model.parameters
    text = "\n".join(said)
    assert "nothing above was measured on real speech" in text
    assert (tmp_path / "pictures" / "grid.png").stat().st_size > 10_000
    assert str(tmp_path / "pictures") in text
    again, _ = run(tmp_path)
    assert [row.model.fingerprint for row in again] == [row.model.fingerprint for row in rows]


@pytest.mark.recordings
def test_shipped_teacher_hears_real_digits() -> None:
    scores = frami.score("digits", "fsdd", test_fold="takes")
    assert scores["accuracy"] > 0.98


@pytest.mark.parametrize("name", soundscapes.PLANS)
def test_demo_of_soundscapes_needs_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "events":
        pytest.importorskip("sed_scores_eval", reason="the extra events is not installed")
    monkeypatch.delenv("FRAMI_DATA", raising=False)
    monkeypatch.setattr(tones, "TRAIN_PER_CLASS", 2)
    monkeypatch.setattr(tones, "TEST_PER_CLASS", 1)
    monkeypatch.setattr(soundscapes, "N_SOUNDSCAPES", {"train": 16, "validation": 4})
    few = replace(soundscapes.PLANS[name], teacher_steps=2, samples=64, steps=2)
    monkeypatch.setitem(soundscapes.PLANS, name, few)
    said: list[str] = []
    found = soundscapes.run_soundscape_demo(tmp_path, name, threads=1, say=said.append)
    assert list(found) == ["teacher", "student (frami)", "student (noise)"]
    assert all(0 <= scores[few.measures[0]] <= 1 for scores in found.values())
    assert (tmp_path / name / "pictures" / "grid.png").stat().st_size > 10_000
    assert (
        str(tmp_path) in said[-1] and (tmp_path / name / "student-frami" / "model.json").is_file()
    )


def test_what_to_do_after_a_demo_can_be_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digits, "run_digits_demo", lambda *_, **__: [])
    monkeypatch.setattr(soundscapes, "run_soundscape_demo", lambda *_, **__: {})
    out = tmp_path / "my demo"
    for task, student in (
        ("digits", out / "student-frami"),
        ("events", out / "events" / "student-frami"),
    ):
        said = CliRunner().invoke(cli.frami, ["demo", "--task", task, "--out", str(out)])
        assert f"Next: frami inspect '{student}'" in said.output
