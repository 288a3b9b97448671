"""Writing so that a file is whole or not there, with one sentence where the disk says no."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from frami.core.errors import OperationError, UsageError


@contextmanager
def reraise_os_errors() -> Iterator[None]:
    """Turn what a disk refuses (full, read-only, no permission) into one sentence."""
    try:
        yield
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        raise OperationError(
            f"Cannot write{where}: {error.strerror or error}; free space there, or name another place."
        ) from error


def ensure_dir(path: str | Path) -> Path:
    """Return ``path`` as a folder that is there; it is made if need be."""
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise UsageError(
            f"{path} is a file; a folder is to be written there: choose another --out."
        )
    with reraise_os_errors():
        path.mkdir(parents=True, exist_ok=True)
    return path


def acquire_lock(lock: Path, busy: str) -> int:
    """Return an open file that nobody else can hold until it is closed.

    Raises:
        WrongUse: another process holds it; ``busy`` says what that does.
    """
    with reraise_os_errors():
        descriptor = os.open(lock, os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise UsageError(
                f"Another process {busy}; wait for it, or choose another --out."
            ) from error
    return descriptor


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Wait until nobody else is in such a block with the same folder."""
    with reraise_os_errors():
        descriptor = os.open(path, os.O_RDONLY)
    try:
        with reraise_os_errors():
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file at once: a reader, or a kill, finds the old content or the new."""
    beside = path.with_name(f".{path.name}.part")
    with reraise_os_errors():
        try:
            with beside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except BaseException:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise


def write_json(path: Path, content: Any) -> None:
    """Write JSON at once."""
    write_bytes(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
