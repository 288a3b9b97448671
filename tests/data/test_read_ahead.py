"""Items that a thread prepares keep their order and their errors, and hide the time they take."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from frami.core.errors import OperationError
from frami.data.read_ahead import read_ahead


def slow_items(count: int, seconds: float) -> Iterator[int]:
    for item in range(count):
        time.sleep(seconds)
        yield item


def test_items_keep_their_order_and_end() -> None:
    with read_ahead(iter(range(20)), 3) as items:
        assert list(items) == list(range(20))
        assert next(items, None) is None


def test_time_of_a_slow_disk_is_hidden_by_the_work() -> None:
    with read_ahead(slow_items(30, 0.01), 4) as items:
        next(items)
        waited = items.seconds_waiting
        for _ in range(20):
            time.sleep(0.02)  # a step of training, in which torch releases the interpreter
            next(items)
        # Without the thread, 0.2 s. A busy machine delays a few of the sleeps.
        assert items.seconds_waiting - waited < 0.1


def test_errors_are_raised_where_the_item_is_taken() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise OperationError("The disk is gone.")

    with read_ahead(failing()) as items:
        assert next(items) == 1
        for _ in range(2):
            with pytest.raises(OperationError, match="gone"):
                next(items)


def test_thread_ends_with_the_block_and_prepares_no_more_than_asked() -> None:
    made: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            made.append(len(made))
            yield made[-1]

    with pytest.raises(KeyboardInterrupt), read_ahead(endless(), 3) as items:
        next(items)
        time.sleep(0.2)
        assert len(made) <= 1 + 3 + 1
        raise KeyboardInterrupt
    assert "read ahead" not in [thread.name for thread in threading.enumerate()]
