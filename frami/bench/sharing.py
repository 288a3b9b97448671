"""Several processes share one page: a row is measured by one of them.

A process takes the lock of a row and keeps it to its end, so that no other one measures the row
again. The system frees the locks of a process that dies.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from frami.core import files

FILE_NAME = ".rows.lock"


class RowLocks:
    """The locks of a page, one byte of a file for each row."""

    def __init__(self, page: Path) -> None:
        """Open the locks of a page; the folder must exist."""
        with files.reraise_os_errors():
            self._file = files.open_below(page / FILE_NAME, os.O_CREAT | os.O_RDWR)

    def take(self, key: Sequence[str]) -> bool:
        """Take the lock of a row until `close`; return False if another process has it."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, row_number(key))
        except (BlockingIOError, PermissionError):
            return False
        return True

    def close(self) -> None:
        """Free the locks."""
        os.close(self._file)


def take_turns(
    keys: Sequence[Sequence[str]],
    page: Path,
    is_measured: Callable[[int], bool],
    pass_over: Callable[[int], None],
) -> Iterator[int]:
    """Yield the index of each row that this process is to measure, with its lock taken.

    A row that another live process has taken is looked at again at the end: that process may have
    ended, or died before it measured the row.

    Args:
        keys: The values of the key columns of each row.
        page: Folder of the page.
        is_measured: Tells whether the page has the row of an index.
        pass_over: Called with the index of a row that another process still has at the end.
    """
    left, locks = list(range(len(keys))), RowLocks(page)
    with closing(locks):
        for is_second_look in (False, True):
            busy = []
            for index in left:
                if not locks.take(keys[index]):
                    busy.append(index)
                elif not (is_second_look and is_measured(index)):
                    yield index
            left = busy
        for index in left:
            pass_over(index)


def row_number(key: Sequence[str]) -> int:
    """Return a number of 48 bits that identifies a row, the same in every process."""
    return int.from_bytes(hashlib.sha256("\n".join(key).encode()).digest()[:6], "big")
