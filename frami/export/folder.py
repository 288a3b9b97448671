"""Write a folder as a whole: an interrupted export leaves nothing half-written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from frami.core import files, locks
from frami.core.errors import UsageError
from frami.core.hidden_names import hidden_beside
from frami.export.card import FILES

RECORD = "export.json"
# What lies in the folder of an export; the last two come of its use.
NAMES = {*FILES, "README.md", "__pycache__", ".DS_Store"}


def check_folder(out: Path) -> None:
    """Raise a UsageError if a folder holds anything but an earlier export, which is replaced."""
    if out.is_file():
        raise UsageError(f"{out} is a file, but a folder is needed there. Choose another `out`.")
    if not out.is_dir():
        return
    names = {path.name for path in out.iterdir()}
    others = names - NAMES if (out / RECORD).is_file() else names
    if others:
        problem = "besides an export" if others != names else "and no export"
        raise UsageError(
            f"{out} holds other files ({min(others)}) {problem}. Choose another `out`, so that "
            f"nothing is overwritten."
        )


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes ``out`` if the block succeeds, else disappears.

    An earlier export in ``out`` stays until the new one is finished.

    Raises:
        UsageError: ``out`` holds other files, or another process exports to it.
    """
    check_folder(out)
    out = files.resolve(out)  # the folder that a link names, not the link, is replaced
    files.ensure_dir(out.parent)
    part, old, lock = (hidden_beside(out, kind) for kind in ("part", "old", "lock"))
    with locks.locked(lock, f"exports to {out}"), files.reraise_os_errors():
        try:
            if old.exists() and not out.exists():  # a process was killed between two renames
                old.rename(out)
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            yield part
            check_folder(out)
            shutil.rmtree(old, ignore_errors=True)
            if out.exists():
                out.rename(old)
            part.rename(out)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(part, ignore_errors=True)
