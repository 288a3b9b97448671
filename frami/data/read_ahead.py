"""Prepare the next batches in a thread while the last one is in use."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")

BATCHES_AHEAD = 4
SECONDS_BETWEEN_LOOKS = 0.1  # for the end of the work, while all batches are ready


class ReadAhead(Generic[T]):
    """An iterator over items that a thread prepares.

    Attributes:
        seconds_waiting: How long `next` has waited for items.
    """

    def __init__(self, items: Iterator[T], ahead: int) -> None:
        self.seconds_waiting = 0.0
        self._items = items
        self._ready: queue.Queue[T | BaseException] = queue.Queue(ahead)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._fill, name="read ahead", daemon=True)
        self._thread.start()

    def _fill(self) -> None:
        item: T | BaseException
        while not self._is_over.is_set():
            try:
                item = next(self._items)
            except BaseException as error:  # raised where the item is taken
                item = error
            self._put(item)
            if isinstance(item, BaseException):
                return

    def _put(self, item: T | BaseException) -> None:
        while not self._is_over.is_set():
            try:
                return self._ready.put(item, timeout=SECONDS_BETWEEN_LOOKS)
            except queue.Full:
                pass

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        start = time.monotonic()
        item = self._ready.get()
        self.seconds_waiting += time.monotonic() - start
        if isinstance(item, BaseException):
            self._ready.put(item)  # for the next call
            raise item
        return item

    def close(self) -> None:
        """Stop the thread, and wait until it has stopped."""
        self._is_over.set()
        self._thread.join()


@contextmanager
def read_ahead(items: Iterator[T], ahead: int = BATCHES_AHEAD) -> Iterator[ReadAhead[T]]:
    """Prepare up to ``ahead`` items in a thread within the block; they keep their order.

    An error of ``items`` is raised where the item would be taken.
    """
    reader = ReadAhead(items, ahead)
    try:
        yield reader
    finally:
        reader.close()
