"""Small disks in memory, which become full or read-only. Only root can mount them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory


def _call(*words: object) -> bool:
    command = list(map(str, words))
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@cache
def can_mount() -> bool:
    """Return whether this process can mount a disk."""
    if os.geteuid() or not shutil.which("mount"):
        return False
    with TemporaryDirectory() as folder:
        return _call("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder) and _call(
            "umount", folder
        )


@contextmanager
def disk(folder: Path, size: int) -> Iterator[None]:
    """Mount a disk of some bytes at a folder within the block."""
    folder.mkdir(parents=True, exist_ok=True)
    if not _call("mount", "-t", "tmpfs", "-o", f"size={max(1, size // 1024)}k", "tmpfs", folder):
        raise OSError(f"cannot mount a disk at {folder}")
    try:
        yield
    finally:
        _call("umount", folder)


def resize(folder: Path, size: int) -> None:
    """Give a mounted disk another size."""
    _call("mount", "-o", f"remount,size={size // 1024}k", folder)


def set_read_only(folder: Path, read_only: bool) -> bool:
    """Make a mounted disk read-only, or writable; return whether the system did so."""
    return _call("mount", "-o", f"remount,{'ro' if read_only else 'rw'}", folder)
