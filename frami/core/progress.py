"""Show the progress of long work: a bar in a terminal, else a line every few seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from frami.core.errors import UsageError

SECONDS_BETWEEN_LINES = 10.0


class ProgressCallback(Protocol):
    """Report that ``done`` units of work are finished, with a note to show next to them.

    The first call gives the number of units that an earlier run finished, or 0. These units do
    not count in the estimate of the remaining time.
    """

    def __call__(self, done: int, note: str = "") -> None: ...


def silent(done: int, note: str = "") -> None:
    """Report nothing; the default of the Python functions."""


def check_callback(report: object) -> None:
    """Refuse a `report` that cannot be called, before the work begins."""
    if not callable(report):
        raise UsageError(
            f"`report` is {report!r}; it must be a function of the units done and a note."
        )


@contextmanager
def show_progress(title: str, total: int) -> Iterator[ProgressCallback]:
    """Show progress on standard error.

    Args:
        title: Name of the work.
        total: Number of units in all.
    """
    if sys.stderr.isatty():
        with _bar(title, total) as report:
            yield report
    else:
        yield _lines(title, total)


@contextmanager
def show_download(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show the progress of a download in percent.

    The callback takes the bytes so far and the bytes in all (0 while the size is unknown).
    """
    with show_progress(f"{title}, percent", 100) as report:
        yield lambda done, total: report(
            min(100, 100 * done // total) if total else 0, f"{done / 1e6:.1f} MB"
        )


@contextmanager
def _bar(title: str, total: int) -> Iterator[ProgressCallback]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

    # In a narrow terminal the note is cut first, then the title; the numbers stay whole.
    title_column = Column(no_wrap=True, min_width=min(len(title), 24), overflow="ellipsis")
    note_column = Column(no_wrap=True, ratio=1, overflow="ellipsis")
    columns = (
        TextColumn("{task.description}", table_column=title_column),
        BarColumn(bar_width=20),
        MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=2 * len(str(total)) + 1)),
        TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=7)),
        TextColumn("left", table_column=Column(no_wrap=True, min_width=4)),
        TimeRemainingColumn(table_column=Column(no_wrap=True, min_width=7)),
        TextColumn("{task.fields[note]}", table_column=note_column),
    )
    with Progress(*columns, console=Console(stderr=True), expand=True) as progress:
        task = progress.add_task(title, total=total, note="")
        started = False

        def report(done: int, note: str = "") -> None:
            nonlocal started
            if started:
                progress.update(task, completed=done, note=note)
            else:
                progress.reset(task, completed=done)
            started = True

        yield report


def _lines(title: str, total: int) -> ProgressCallback:
    first_done: int | None = None
    start = last_line = time.monotonic()

    def report(done: int, note: str = "") -> None:
        nonlocal first_done, start, last_line
        now = time.monotonic()
        if first_done is None:
            first_done, start = done, now
            return
        if done < total and now - last_line < SECONDS_BETWEEN_LINES:
            return
        last_line = now
        if done >= total:
            duration = f"took {format_duration(now - start)}"
        elif done > first_done:
            seconds_per_unit = (now - start) / (done - first_done)
            duration = f"{format_duration(seconds_per_unit * (total - done))} left"
        else:
            duration = f"{format_duration(now - start)} so far"
        suffix = f"; {note}" if note else ""
        print(f"{title}: {done}/{total}, {duration}{suffix}", file=sys.stderr, flush=True)

    return report


def format_duration(seconds: float) -> str:
    """Return a duration in seconds, minutes or hours, as readable text.

    >>> format_duration(5), format_duration(75), format_duration(3700)
    ('5 s', '1 min 15 s', '1 h 01 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
