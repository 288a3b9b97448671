"""Open the file of a store, and name the cause where that fails.

A store is hours of work. Only a file whose contents HDF5 refuses is called damaged.
"""

from __future__ import annotations

import os
from pathlib import Path

import h5py

from frami.core.errors import OperationError, UsageError
from frami.core.files import NO_LOCKS, describe_os_error


def open_file(path: Path) -> h5py.File:
    """Return the open HDF5 file of a store.

    Raises:
        UsageError: There is no such file.
        OperationError: It is damaged, or the system does not open it; the message tells which.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder, but a store is a file whose name ends in .h5.")
    if not path.is_file():
        raise UsageError(
            f"There is no store {str(path)!r}. To make one, run: {_synthesize_command(path)}"
        )
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise OperationError(_describe_failure(path, error)) from error


def _describe_failure(path: Path, error: OSError) -> str:
    """Return a sentence on a file that does not open: it is damaged, or the system refuses it."""
    if path.stat().st_size == 0:
        return f"{path} is empty. {way_out(path)}"
    if isinstance(error, BlockingIOError):
        return f"Another process has {path} open for writing. Close it there, and try again."
    if error.errno in NO_LOCKS and "lock" in str(error):
        return (
            f"The file system of {path} has no locks, so HDF5 does not open it. If no other "
            f"process writes to it, set HDF5_USE_FILE_LOCKING=FALSE."
        )
    if error.errno:  # without a number, HDF5 refuses what it read
        reason = os.strerror(error.errno)
        return describe_os_error(OSError(error.errno, reason), "read", path)
    return f"{path} is truncated or not an HDF5 file. {way_out(path)}"


def way_out(path: Path) -> str:
    """Return what to do about a damaged store."""
    return f"Copy the file again, or delete it and run: {_synthesize_command(path)}"


def _synthesize_command(path: Path) -> str:
    return f"frami synthesize --teacher TEACHER --out {path}"
