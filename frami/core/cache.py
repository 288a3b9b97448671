"""The cache folder: what takes long to compute and can be computed again.

The folder is that of the user's caches, such as ``~/.cache/frami`` on Linux. The environment
variable ``FRAMI_CACHE`` names another folder; with ``off``, nothing is kept. Other users of the
machine cannot read what is kept, unless its folder ``packs`` was made for them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

import platformdirs

from frami.core.files import ZIP_ERRORS, expand

VARIABLE = "FRAMI_CACHE"
OFF = "off"
MAX_BYTES = 4 * 10**9
PRIVATE = 0o700  # mode of a new folder of packs

_keeps_nothing = ContextVar("keeps_nothing", default=False)


def cache_folder() -> Path | None:
    """Return the cache folder, which may not exist yet, or None if nothing is to be kept."""
    value = os.environ.get(VARIABLE, "")
    if value.lower() == OFF or (not value and _keeps_nothing.get()):
        return None
    return expand(value) if value else platformdirs.user_cache_path("frami", appauthor=False)


@contextmanager
def private_work() -> Iterator[None]:
    """Keep nothing within the block, unless the user named a cache folder."""
    token = _keeps_nothing.set(True)
    try:
        yield
    finally:
        _keeps_nothing.reset(token)


def digest_of(*parts: object) -> str:
    """Return 32 hex digits of some values, for a key; equal values have equal digits."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def file_key(path: Path) -> str:
    """Return the digest of a file's path, size, inode and times; empty if it is not there.

    Files of one archive can have the same size and time of modification. When two of them exchange
    their names, their inodes and times of change tell.
    """
    try:
        status = path.stat()
    except OSError:
        return ""
    times = status.st_mtime_ns, status.st_ctime_ns
    return digest_of(str(path.absolute()), status.st_size, status.st_ino, times)


class Pack:
    """Contents by key, in one file of the cache folder.

    A file with a wrong checksum counts as damaged: it is deleted, and its contents are computed
    again. Several processes may use a pack at the same time. All packs together take at most
    `MAX_BYTES`; the packs that were not used for longest are deleted first.
    """

    def __init__(self, kind: str, name: str) -> None:
        """Name a pack; nothing is read yet.

        Args:
            kind: Folder of packs of one kind.
            name: Name of the pack: digits that stand for everything that all its contents depend
                on.
        """
        folder = cache_folder()
        self._folder = folder / "packs" if folder else None
        self._name = f"{kind}-{name}.zip"

    def read(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Return the contents of those keys that the pack has."""
        if self._folder is None:
            return {}
        path, wanted = self._folder / self._name, set(keys)
        try:
            with zipfile.ZipFile(path) as pack:
                found = {name: pack.read(name) for name in pack.namelist() if name in wanted}
            os.utime(path)  # used now
        except FileNotFoundError:
            return {}
        except ZIP_ERRORS:
            with suppress(OSError), self._locked():
                path.unlink(missing_ok=True)
            return {}
        return found

    def add(self, contents: Mapping[str, bytes]) -> None:
        """Add contents that the pack does not have; a disk that is full keeps it as it is."""
        size = sum(map(len, contents.values()))
        if self._folder is None or not contents or size > MAX_BYTES:
            return
        path = self._folder / self._name
        with suppress(*ZIP_ERRORS):
            # Spectrograms of recordings that others may not read.
            self._folder.mkdir(PRIVATE, parents=True, exist_ok=True)
            with self._locked():
                known = _size(path)
                if known + size > MAX_BYTES:
                    return
                _make_room(self._folder, size, keep=path)
                _append(path, contents)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        assert self._folder is not None
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _append(path: Path, contents: Mapping[str, bytes]) -> None:
    """Add contents to the end of a pack; after an error the pack is deleted."""
    try:
        with zipfile.ZipFile(path, "a") as pack:
            known = set(pack.namelist())
            for name, content in contents.items():
                if name not in known:
                    pack.writestr(zipfile.ZipInfo(name), content)
    except BaseException:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise


def _make_room(folder: Path, size: int, keep: Path) -> None:
    """Delete the packs that were not used for longest, until ``size`` more bytes fit."""
    packs = sorted(folder.glob("*.zip"), key=_time_of_use)
    total = sum(map(_size, packs)) + size
    for path in packs:
        if total <= MAX_BYTES:
            return
        if path != keep:
            total -= _size(path)
            path.unlink(missing_ok=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _time_of_use(path: Path) -> float:
    return path.stat().st_mtime if path.is_file() else 0.0
