"""Write the file of a store under another name, and rename it when it is whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py

from frami.core import files, locks
from frami.core.errors import UsageError
from frami.data.store import Store


@contextmanager
def whole_store(out: Path) -> Iterator[h5py.File]:
    """Open a file for writing, check it at the end of the block, and rename it.

    Raises:
        UsageError: Another process writes it, or has written it meanwhile.
        OperationError: It cannot be written, or it is not a store with possible values.
    """
    temporary, lock = (out.with_name(f".{out.name}.{kind}") for kind in ("part", "lock"))
    with locks.locked(lock, f"writes {out}"):
        if out.exists():
            raise UsageError(f"{out} exists already. Choose another `out`, or delete it.")
        try:
            with files.reraise_os_errors():
                temporary.unlink(missing_ok=True)  # it may be a link
                with h5py.File(temporary, "w") as file:
                    yield file
                Store(temporary).close()
                files.sync(temporary)
                temporary.replace(out)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
