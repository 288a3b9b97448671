"""Progress lines: remaining time and duration."""

from __future__ import annotations

import io
import re
import sys
import time

import pytest

from frami.core.errors import UsageError
from frami.core.progress import (
    begin_stage,
    check_callback,
    set_total,
    show_download,
    show_progress,
    show_stages,
    silent,
)


def open_terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Put a terminal of 100 columns in the place of standard error."""
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "100")
    return terminal


def test_show_progress_resumed_work_estimates_time_from_this_run_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with show_progress("training", 1000) as report:
        report(400)
        for seconds, done in ((10.0, 450), (5.0, 475), (25.0, 600), (80.0, 1000)):
            now[0] += seconds
            report(done, "loss 1")
    # 50 steps take 10 s. No line follows within 10 s of the last one.
    assert capsys.readouterr().err.splitlines() == [
        "training: 450/1000, 1 min 50 s left; loss 1",
        "training: 600/1000, 1 min 20 s left; loss 1",
        "training: 1000/1000, took 2 min 00 s; loss 1",
    ]


def test_show_download_of_known_size_reports_percent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with show_download("tones") as report:
        report(0, 0)
        now[0] += 20.0
        report(1_000_000, 4_000_000)
    expected = ["tones, percent: 25/100, 1 min 00 s left; 1.0 MB"]
    assert capsys.readouterr().err.splitlines() == expected


def test_a_report_that_is_not_a_function_is_refused() -> None:
    check_callback(silent)
    with pytest.raises(UsageError, match=r"`report` is \[\]"):
        check_callback([])


def test_stages_in_a_terminal_have_one_line_for_each_title(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = open_terminal(monkeypatch)
    with show_stages() as report:
        report(0)
        for total in (4, 7):
            reading = begin_stage(report, "reading", total)
            reading(0)
            reading(total)
        begin_stage(report, "predicting", 3)(0)
    last = terminal.getvalue().split("\x1b[1A")[-1]
    assert "reading" in terminal.getvalue() and "7/7" in terminal.getvalue()
    assert re.findall(r"\d/\d", last.split("\x1b[2K")[-1]) == ["7/7", "0/3"]


def test_stages_without_a_terminal_are_silent_if_they_are_short(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with show_stages() as report:
        report(0)
        for seconds in (0.2, 2.0):
            stage = begin_stage(report, "reading", 2)
            for done in range(3):
                stage(done)
                now[0] += seconds
        report(1)
    assert capsys.readouterr().err.splitlines() == [
        "reading: 1/2, 2 s left",
        "reading: 2/2, took 4 s",
    ]


def test_total_that_is_known_late_counts(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress("work", None) as report:
        set_total(report, 8)
        report(0)
        report(8)
    assert "work: 8/8, took" in capsys.readouterr().err
    set_total(silent, 8)  # nothing to show it


def test_names_of_a_stranger_are_no_markup_and_do_not_control_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = open_terminal(monkeypatch)
    with show_stages() as report:
        begin_stage(report, "clips of [/b]\x1b]0;x\x07", 3)(0, "[/c]\x9b2J")
    assert "[/b] ]0;x" in terminal.getvalue() and "\x1b]" not in terminal.getvalue()
