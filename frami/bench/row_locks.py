"""Locks that let several processes share one page: each row is measured by one of them."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from frami.core import files

FILE_NAME = ".rows.lock"


class RowLocks:
    """The locks of a page, one byte of a file for each row.

    The system frees the locks of a process that dies.
    """

    def __init__(self, page: Path) -> None:
        """Open the locks of a page; the folder must exist."""
        with files.reraise_os_errors():
            self._file = os.open(page / FILE_NAME, os.O_CREAT | os.O_RDWR)

    def take(self, key: Sequence[str]) -> bool:
        """Take the lock of a row until the end of the work; False if another process has it."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, row_number(key))
        except (BlockingIOError, PermissionError):
            return False
        return True

    def __enter__(self) -> RowLocks:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)


def row_number(key: Sequence[str]) -> int:
    """Return a number of 48 bits that identifies a row, the same in every process."""
    return int.from_bytes(hashlib.sha256("\n".join(key).encode()).digest()[:6], "big")
