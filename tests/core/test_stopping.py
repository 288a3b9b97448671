"""A run stops once its time is over: at a boundary, with its state, and not when it is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from frami.core.errors import UsageError
from frami.core.run import Run, read_record
from frami.core.stopping import NEVER, Deadline, Stopped, make_deadline


def test_deadline_passes_after_its_minutes() -> None:
    assert not make_deadline(1).has_passed and not NEVER.has_passed
    assert NEVER.minutes_left is None
    past = Deadline(1, start=make_deadline(1).start - 61)
    assert past.has_passed and past.minutes_left == 0
    half = Deadline(1, start=make_deadline(1).start - 30)
    assert half.minutes_left == pytest.approx(0.5, abs=0.05)
    for minutes in (0, -1, float("nan"), "1"):
        with pytest.raises(UsageError, match="`stop_after` is"):
            make_deadline(minutes)  # type: ignore[arg-type]


def test_run_saves_its_state_and_stops_unless_nothing_is_left(tmp_path: Path) -> None:
    past = Deadline(1, start=NEVER.start - 100)
    with Run(tmp_path, "train", {}, deadline=past) as run:
        run.save(lambda: {"step": 1}, always=True)
        with pytest.raises(Stopped, match="stopped after 1 min, .* Left: 2 of 4 steps"):
            run.save(lambda: {"step": 2}, left="2 of 4 steps")
    assert read_record(tmp_path)["status"] == "running"
    with Run(tmp_path, "train", {}, deadline=past) as run:
        state = run.state()
        assert state is not None and state["step"] == 2
        run.save(lambda: {"step": 4}, always=True)
        run.finish()
    assert read_record(tmp_path)["status"] == "finished" and Stopped.exit_code == 75
