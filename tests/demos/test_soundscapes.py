"""The demos of soundscapes with a fraction of their budget."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from frami.datasets import tones
from frami.demos import soundscapes


@pytest.mark.slow
@pytest.mark.parametrize("name", soundscapes.PLANS)
def test_soundscape_demo_needs_no_recordings(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "events":
        pytest.importorskip("sed_scores_eval", reason="the extra events is not installed")
    monkeypatch.delenv("FRAMI_DATA", raising=False)
    monkeypatch.setattr(tones, "TRAIN_PER_CLASS", 2)
    monkeypatch.setattr(tones, "TEST_PER_CLASS", 1)
    monkeypatch.setattr(soundscapes, "N_SOUNDSCAPES", {"train": 16, "validation": 4})
    plan = soundscapes.PLANS[name]
    tiny = replace(plan, teacher_steps=2, student=replace(plan.student, samples=64, steps=2))
    monkeypatch.setitem(soundscapes.PLANS, name, tiny)
    lines: list[str] = []
    scores = soundscapes.run_soundscape_demo(tmp_path, name, threads=1, say=lines.append)
    assert list(scores) == ["teacher", "student (frami)", "student (noise)"]
    assert all(0 <= of_model[tiny.measures[0]] <= 1 for of_model in scores.values())
    assert (tmp_path / name / "pictures" / "grid.png").stat().st_size > 10_000
    assert (tmp_path / name / "student-frami" / "model.json").is_file()
    assert lines[0].startswith("This demo mixes 20 soundscapes") and str(tmp_path) in lines[-1]
