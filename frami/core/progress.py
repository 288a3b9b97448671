"""Progress of long work: a bar in a terminal, a line every few seconds elsewhere; both say how long it will take."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

SECONDS_BETWEEN_LINES = 10.0


class ProgressCallback(Protocol):
    """How work reports that ``done`` of its units are finished, and what it would like shown beside.

    The first time it says what an earlier run had finished, 0 if there was none: that does not count for the time left.
    """

    def __call__(self, done: int, note: str = "") -> None: ...


def silent(done: int, note: str = "") -> None:
    """Report nothing: what the Python functions do unless told otherwise."""


@contextmanager
def show_progress(title: str, total: int) -> Iterator[ProgressCallback]:
    """Show progress on standard error.

    Args:
        title: What is being done.
        total: Units in all.
    """
    if sys.stderr.isatty():
        with _bar(title, total) as report:
            yield report
    else:
        yield _lines(title, total)


@contextmanager
def show_download(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show the progress of a download in percent; its size is known only once it has begun (0 until then)."""
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

    # Where a line is short, the note gives way, then the title, and nothing else.
    rest = Column(no_wrap=True, ratio=1, overflow="ellipsis")
    columns = (
        TextColumn(
            "{task.description}",
            table_column=Column(no_wrap=True, min_width=min(len(title), 24), overflow="ellipsis"),
        ),
        BarColumn(bar_width=20),
        MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=2 * len(str(total)) + 1)),
        TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=7)),
        TextColumn("left", table_column=Column(no_wrap=True, min_width=4)),
        TimeRemainingColumn(table_column=Column(no_wrap=True, min_width=7)),
        TextColumn("{task.fields[note]}", table_column=rest),
    )
    with Progress(*columns, console=Console(stderr=True), expand=True) as progress:
        task = progress.add_task(title, total=total, note="")
        begun = False

        def report(done: int, note: str = "") -> None:
            nonlocal begun
            if begun:
                progress.update(task, completed=done, note=note)
            else:
                progress.reset(task, completed=done)
            begun = True

        yield report


def _lines(title: str, total: int) -> ProgressCallback:
    start: int | None = None
    began = last = time.monotonic()

    def report(done: int, note: str = "") -> None:
        nonlocal start, began, last
        now = time.monotonic()
        if start is None:
            start, began = done, now
            return
        if done < total and now - last < SECONDS_BETWEEN_LINES:
            return
        last = now
        if done >= total:
            when = f"took {format_duration(now - began)}"
        elif done > start:
            when = f"{format_duration((now - began) / (done - start) * (total - done))} left"
        else:
            when = f"{format_duration(now - began)} so far"
        print(
            f"{title}: {done}/{total}, {when}{'; ' + note if note else ''}",
            file=sys.stderr,
            flush=True,
        )

    return report


def format_duration(seconds: float) -> str:
    """Return a duration for people.

    >>> format_duration(5), format_duration(75), format_duration(3700)
    ('5 s', '1 min 15 s', '1 h 01 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
