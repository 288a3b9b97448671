"""Write files atomically, lock them, and turn the errors of a disk into one sentence."""

from __future__ import annotations

import errno
import fcntl
import json
import lzma
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from frami.core.errors import OperationError, UsageError

_FULL = "Free space there, or name another place."
_OPEN_FILES = "Too many files are open: close other programs, or raise the limit with ulimit -n."
_MEMORY = "The memory is full: close other programs, or take smaller batches."
_DEVICE = "The disk or the network failed: check it, and try again. The file may be whole."
WAYS_OUT = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), _FULL),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), _OPEN_FILES),
    errno.ENOMEM: _MEMORY,
    **dict.fromkeys((errno.EIO, errno.ESTALE, errno.ETIMEDOUT), _DEVICE),
}
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
LOCKS_VARIABLE = "FRAMI_LOCKS"  # "off" works without locks
# What reading a damaged zip file can raise; UnicodeDecodeError is a ValueError.
ZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError),
    *(OSError, RuntimeError, OverflowError, MemoryError, IndexError, KeyError),
)


def expand(path: str | Path) -> Path:
    """Return a path that a user wrote; ``~`` at its begin is the home folder.

    A shell does not replace it in ``--out=~/model``, in quotes, or in a file of settings.
    """
    return Path(os.path.expanduser(path))


def resolve(path: str | Path) -> Path:
    """Return an absolute path without links, also of a link that leads to itself."""
    return Path(os.path.realpath(path))  # before Python 3.13, `Path.resolve` raises for it


@contextmanager
def reraise_os_errors(verb: str = "write") -> Iterator[None]:
    """Raise an OperationError for a disk error, such as a full disk or a missing permission.

    Args:
        verb: What is done with the files: ``write`` or ``read``.
    """
    try:
        yield
    except OSError as error:
        raise OperationError(describe_os_error(error, verb)) from error


def describe_os_error(error: OSError, verb: str = "write", path: str | Path = "") -> str:
    """Return a sentence on an error of the system, and the way out that fits its cause."""
    place = f" {path or error.filename}" if path or error.filename else ""
    default = "Name another place." if verb == "write" else "Correct that, and try again."
    way_out = WAYS_OUT.get(error.errno or 0, default)
    return f"Cannot {verb}{place}: {error.strerror or error}. {way_out}"


def is_zip(path: Path) -> bool:
    """Return whether a file ends as a zip file."""
    try:
        return zipfile.is_zipfile(path)
    except ZIP_ERRORS:
        return False


def ensure_dir(path: str | Path) -> Path:
    """Return ``path`` as an existing folder; create it if necessary."""
    path = expand(path)
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
        _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, lock.parent)
    except BlockingIOError as error:
        os.close(descriptor)
        raise UsageError(
            f"Another process {activity}. Wait for it, or choose another `out`."
        ) from error
    except BaseException:
        os.close(descriptor)
        raise
    if _is_at(descriptor, lock):
        return descriptor
    os.close(descriptor)  # its last holder has deleted the file meanwhile
    return acquire_lock(lock, activity)


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether a path is that of an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


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
    """Return the descriptor of a file, not of a link or a pipe; an opener for `open`.

    A file that is to be emptied may have no second name, which may lie elsewhere.
    """
    opening = flags & ~os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, opening, 0o666)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or (flags & os.O_TRUNC and status.st_nlink > 1):
        os.close(descriptor)
        raise OSError(errno.EEXIST, "It is not a file of its own there. Remove it", str(path))
    if flags & os.O_TRUNC:
        os.ftruncate(descriptor, 0)
    return descriptor


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


def write_bytes(path: Path, content: bytes, *, keep: Path | None = None) -> None:
    """Write a file atomically: after an interruption it has the old or the new content.

    With ``keep``, the old file gets that name just before the new one takes its place.
    """
    write_parts(path, [content], keep=keep)


def write_parts(path: Path, parts: Iterable[bytes], *, keep: Path | None = None) -> None:
    """Write a file atomically, part by part, as the parts are computed; see `write_bytes`."""
    temporary = path.with_name(f".{path.name}.part")
    with reraise_os_errors():
        try:
            with open(temporary, "wb", opener=open_below) as file:
                for part in parts:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            if keep is not None:
                with suppress(FileNotFoundError):
                    path.replace(keep)
            temporary.replace(path)
            sync(path.parent)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def sync(path: Path) -> None:
    """Have the system write a file, or the names in a folder, to the disk.

    Some file systems cannot do so for a folder.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in WAYS_OUT:
            raise


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file atomically. The name of a file that is not text gets escapes."""
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    write_bytes(path, re.sub("[\ud800-\udfff]", lambda m: rf"\\u{ord(m[0]):x}", text).encode())


def read_tree(folder: Path) -> dict[str, bytes]:
    """Return the contents of all files below a folder, by their paths in it."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def write_tree(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write what `read_tree` returned."""
    for name, content in contents.items():
        ensure_dir((folder / name).parent)
        write_bytes(folder / name, content)
