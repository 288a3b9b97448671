"""Write files atomically, and turn the errors of a disk into one sentence."""

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
from frami.core.hidden_names import MOST_NAME_BYTES, hidden_beside

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
LOCKS_VARIABLE = "FRAMI_LOCKS"  # "off" works without locks
MOST_LOOKS = 10  # at a path that another process changes
# What reading a damaged zip file can raise; UnicodeDecodeError is a ValueError.
ZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError),
    *(OSError, RuntimeError, OverflowError, MemoryError, IndexError, KeyError),
)


def expand(path: str | Path) -> Path:
    """Return a path that a user wrote; ``~`` at its begin is the home folder.

    A shell does not replace it in ``--out=~/model``, in quotes, or in a file of settings.

    Raises:
        UsageError: No file can have such a name.
    """
    expanded = os.path.expanduser(path)
    for name in expanded.split("/"):
        if len(os.fsencode(name)) > MOST_NAME_BYTES:
            raise UsageError(
                f"A path has a name of {len(os.fsencode(name))} bytes, {name[:20]!r}...; at most "
                f"{MOST_NAME_BYTES} are allowed. Choose a shorter name."
            )
    if "\0" in expanded:
        raise UsageError(f"The path {expanded!r} has a NUL character. Remove it.")
    return Path(expanded)


def resolve(path: str | Path) -> Path:
    """Return an absolute path without links, also of a link that leads to itself.

    Raises:
        OperationError: Another process changes the links all the time.
    """
    for _ in range(MOST_LOOKS):
        # A link that becomes a file between two looks at it raises EINVAL, or is not there.
        with suppress(OSError):
            return Path(os.path.realpath(path))  # before Python 3.13, `Path.resolve` raises
    raise OperationError(f"{path} changes while it is read. Try again when it is complete.")


def is_file(path: Path) -> bool:
    """Return whether there is such a file; one with a name that no file can have is missing."""
    return os.path.isfile(path)  # `Path.is_file` raises for a name that is too long


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


def is_at(descriptor: int, path: Path) -> bool:
    """Return whether a path is that of an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


@contextmanager
def _locked(temporary: Path, path: Path, *, waits: bool) -> Iterator[None]:
    """Keep other processes from a temporary file; on a file system without locks, do nothing."""
    flags = fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB
    flags = fcntl.LOCK_UN if os.environ.get(LOCKS_VARIABLE, "") == "off" else flags
    while True:
        descriptor = open_below(temporary, os.O_CREAT | os.O_RDWR)
        try:
            try:
                fcntl.flock(descriptor, flags)
            except BlockingIOError as error:
                raise UsageError(
                    f"Another process writes {path}. Wait for it, or choose another `out`."
                ) from error
            except OSError:
                pass  # no locks there
            if is_at(descriptor, temporary):  # else its last holder has renamed it
                yield
                return
        finally:
            os.close(descriptor)


def write_bytes(path: Path, content: bytes, *, keep: Path | None = None) -> None:
    """Write a file atomically: after an interruption it has the old or the new content.

    With ``keep``, the old file gets that name just before the new one takes its place. Another
    process that writes the file is waited for.
    """
    write_parts(path, [content], keep=keep, waits=True)


def write_parts(
    path: Path, parts: Iterable[bytes], *, keep: Path | None = None, waits: bool = False
) -> None:
    """Write a file atomically, part by part, as the parts are computed; see `write_bytes`.

    Raises:
        UsageError: Another process writes the file, and ``waits`` is not set.
    """
    temporary = hidden_beside(path, "part")
    with reraise_os_errors(), _locked(temporary, path, waits=waits):
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
