"""Write files atomically, lock them, and turn the errors of a disk into one sentence."""

from __future__ import annotations

import errno
import fcntl
import json
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from frami.core.errors import OperationError, UsageError

# What reading a damaged zip file can raise; UnicodeDecodeError is a ValueError.
ZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError),
    *(OSError, RuntimeError, OverflowError, MemoryError, IndexError, KeyError),
)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def reraise_os_errors() -> Iterator[None]:
    """Raise an OperationError for a disk error, such as a full disk or a missing permission."""
    try:
        yield
    except OSError as error:
        path = f" {error.filename}" if error.filename else ""
        way_out = "Free space there, or name" if error.errno in FULL else "Name"
        raise OperationError(
            f"Cannot write{path}: {error.strerror or error}. {way_out} another place."
        ) from error


def is_zip(path: Path) -> bool:
    """Return whether a file ends as a zip file."""
    try:
        return zipfile.is_zipfile(path)
    except ZIP_ERRORS:
        return False


def ensure_dir(path: str | Path) -> Path:
    """Return ``path`` as an existing folder; create it if necessary."""
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file, but a folder is needed there. Choose another folder.")
    with reraise_os_errors():
        path.mkdir(parents=True, exist_ok=True)
    return path


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
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise UsageError(
                f"Another process {activity}. Wait for it, or choose another `out`."
            ) from error
    return descriptor


def ensure_below(folder: Path, name: str | Path) -> Path:
    """Return a folder below another one as an existing folder; create it if necessary.

    Raises:
        UsageError: A part of the path below ``folder`` is a link, which could lead anywhere.
    """
    path = folder
    for part in Path(name).parts:
        path = path / part
        if path.is_symlink():
            raise UsageError(f"{path} is a link, and frami writes only below {folder}. Remove it.")
    return ensure_dir(path)


def open_below(path: str | Path, flags: int) -> int:
    """Return the descriptor of a file that is not a link; an opener for `open`."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder within the block; wait until it is free."""
    with reraise_os_errors():
        descriptor = os.open(folder, os.O_RDONLY)
    try:
        with reraise_os_errors():
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically: after an interruption it has the old or the new content."""
    write_parts(path, [content])


def write_parts(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file atomically, part by part, as the parts are computed."""
    temporary = path.with_name(f".{path.name}.part")
    with reraise_os_errors():
        try:
            with open(temporary, "wb", opener=open_below) as file:
                for part in parts:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file atomically."""
    write_bytes(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
