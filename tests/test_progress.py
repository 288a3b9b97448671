"""What is said of long work while it lasts."""

from __future__ import annotations

import pytest

from frami.core.progress import show_progress, time


def test_the_time_left_is_told_by_this_run_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with show_progress("training", 1000) as report:
        report(400)
        for seconds, done in ((10.0, 450), (5.0, 475), (25.0, 600), (80.0, 1000)):
            now[0] += seconds
            report(done, "loss 1")
    # 50 steps take 10 s; nothing is said within 10 s of the last line.
    assert capsys.readouterr().err.splitlines() == [
        "training: 450/1000, 1 min 50 s left; loss 1",
        "training: 600/1000, 1 min 20 s left; loss 1",
        "training: 1000/1000, took 2 min 00 s; loss 1",
    ]
