"""Show the progress of long work: a bar in a terminal, else a line every few seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from frami.core.errors import UsageError
from frami.core.text import make_printable

if TYPE_CHECKING:
    import rich.progress

SECONDS_BEFORE_FIRST_LINE = 1.0
SECONDS_BETWEEN_LINES = 10.0


class ProgressCallback(Protocol):
    """Report that ``done`` units of work are finished, with a note to show next to them.

    The first call gives the number of units that an earlier run finished, or 0. These units do
    not count in the estimate of the remaining time.
    """

    def __call__(self, done: int, note: str = "") -> None: ...


def silent(done: int, note: str = "") -> None:
    """Report nothing; the default of the Python functions."""


def begin_stage(report: ProgressCallback, title: str, total: int) -> ProgressCallback:
    """Return the callback of work that comes before the work of ``report``, such as reading.

    If ``report`` is of `show_progress`, the stage has a bar or lines of its own. Otherwise it is
    silent.
    """
    begin = getattr(report, "begin_stage", None)
    return begin(title, total) if begin else silent


def set_total(report: ProgressCallback, total: int) -> None:
    """Set the number of units of the work of ``report``, where its start did not settle it."""
    change = getattr(report, "set_total", None)
    if change:
        change(total)


def check_callback(report: object) -> None:
    """Refuse a `report` that cannot be called, before the work begins."""
    if not callable(report):
        raise UsageError(
            f"`report` is {report!r}; it must be a function of the units done and a note."
        )


@contextmanager
def show_progress(title: str, total: int | None) -> Iterator[ProgressCallback]:
    """Show progress on standard error.

    Args:
        title: Name of the work.
        total: Number of units in all; None if `set_total` follows.
    """
    if sys.stderr.isatty():
        with _display(title, total) as display:
            yield _Bar(display, title, total)
    else:
        yield _Lines(title, total or 0)


@contextmanager
def show_stages() -> Iterator[ProgressCallback]:
    """Show the progress of work that consists of stages (`begin_stage`) on standard error.

    What is reported of the work as a whole is not shown.
    """
    if sys.stderr.isatty():
        with _display("reading recordings", 100_000) as display:
            yield _Stages(lambda title, total: _Bar(display, title, total))
    else:
        yield _Stages(lambda title, total: _Lines(title, total, is_stage=True))


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
def _display(title: str, total: int | None) -> Iterator[rich.progress.Progress]:
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
        TextColumn("{task.description}", table_column=title_column, markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=2 * len(str(total)) + 1)),
        TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=7)),
        TextColumn("left", table_column=Column(no_wrap=True, min_width=4)),
        TimeRemainingColumn(table_column=Column(no_wrap=True, min_width=7)),
        TextColumn("{task.fields[note]}", table_column=note_column, markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), expand=True) as progress:
        yield progress


class _Stages:
    """Work of which only the stages are shown."""

    def __init__(self, begin_stage: Callable[[str, int], ProgressCallback]) -> None:
        self.begin_stage = begin_stage

    def __call__(self, done: int, note: str = "") -> None:
        pass


class _Bar:
    """A line of a rich progress display; a later stage of the same title takes its place."""

    def __init__(self, progress: rich.progress.Progress, title: str, total: int | None) -> None:
        self._progress, self._started = progress, False
        title = make_printable(title)
        for task in progress.tasks:
            if task.description == title:
                progress.remove_task(task.id)
        self._task = progress.add_task(title, total=total, note="")

    def __call__(self, done: int, note: str = "") -> None:
        if self._started:
            self._progress.update(self._task, completed=done, note=make_printable(note))
        else:
            self._progress.reset(self._task, completed=done)
        self._started = True

    def set_total(self, total: int) -> None:
        self._progress.update(self._task, total=total)

    def begin_stage(self, title: str, total: int) -> _Bar:
        return _Bar(self._progress, title, total)


class _Lines:
    """Lines of text, with the remaining time.

    A stage that takes less than a second prints none.
    """

    def __init__(self, title: str, total: int, *, is_stage: bool = False) -> None:
        self._title, self._total, self._is_stage = title, total, is_stage
        self._first_done: int | None = None
        self._start = self._last_line = time.monotonic()
        self._wait = SECONDS_BEFORE_FIRST_LINE

    def __call__(self, done: int, note: str = "") -> None:
        now = time.monotonic()
        if self._first_done is None:
            self._first_done, self._start = done, now
            return
        first_stage_line = self._is_stage and self._wait == SECONDS_BEFORE_FIRST_LINE
        if now - self._last_line < self._wait and (done < self._total or first_stage_line):
            return
        self._last_line, self._wait = now, SECONDS_BETWEEN_LINES
        if done >= self._total:
            duration = f"took {format_duration(now - self._start)}"
        elif done > self._first_done:
            seconds_per_unit = (now - self._start) / (done - self._first_done)
            duration = f"{format_duration(seconds_per_unit * (self._total - done))} left"
        else:
            duration = f"{format_duration(now - self._start)} so far"
        suffix = f"; {note}" if note else ""
        line = f"{self._title}: {done}/{self._total}, {duration}{suffix}"
        print(make_printable(line), file=sys.stderr, flush=True)

    def set_total(self, total: int) -> None:
        self._total = total

    def begin_stage(self, title: str, total: int) -> _Lines:
        return _Lines(title, total, is_stage=True)


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
