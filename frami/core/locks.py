"""Lock files and folders, so that two processes do not write to one place."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from frami.core.errors import OperationError, UsageError
from frami.core.files import (
    LOCKS_VARIABLE,
    describe_os_error,
    is_at,
    open_below,
    reraise_os_errors,
)

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


def acquire_lock(lock: Path, activity: str) -> int:
    """Return the descriptor of a locked file; closing it releases the lock.

    Args:
        lock: The file to lock; it is created if necessary.
        activity: Activity of the other process, for the error message: "writes samples.h5".

    Raises:
        UsageError: Another process holds the lock.
    """
    with reraise_os_errors():
        descriptor = open_below(lock, os.O_CREAT | os.O_RDWR)
    try:
        _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, lock.parent)
    except BlockingIOError as error:
        os.close(descriptor)
        raise UsageError(
            f"Another process {activity}. Wait for it, or choose another `out`."
        ) from error
    except BaseException:
        os.close(descriptor)
        raise
    if is_at(descriptor, lock):
        return descriptor
    os.close(descriptor)  # its last holder has deleted the file meanwhile
    return acquire_lock(lock, activity)


def _lock(descriptor: int, flags: int, folder: Path) -> None:
    """Lock a file; without locks, two processes could write the same file and destroy it."""
    if os.environ.get(LOCKS_VARIABLE, "") == "off":
        return
    try:
        fcntl.flock(descriptor, flags)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise OperationError(describe_os_error(error, "lock", folder)) from error
        raise OperationError(
            f"The file system of {folder} has no locks ({error.strerror or error}), which keep two "
            f"processes from writing to one file. Choose a place on a local disk, or set "
            f"{LOCKS_VARIABLE}=off if no other process works there."
        ) from error


@contextmanager
def locked(lock: Path, activity: str) -> Iterator[None]:
    """Hold the lock of `acquire_lock` within the block; the file is deleted afterwards."""
    descriptor = acquire_lock(lock, activity)
    try:
        yield
    finally:
        with suppress(OSError):
            lock.unlink()
        os.close(descriptor)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder within the block; wait until it is free."""
    with reraise_os_errors():
        descriptor = os.open(folder, os.O_RDONLY)
    try:
        _lock(descriptor, fcntl.LOCK_EX, folder)
        yield
    finally:
        os.close(descriptor)
