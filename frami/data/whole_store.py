"""Write the file of a store under another name, and rename it when it is whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py

from frami.core import files
from frami.data.store import Store


@contextmanager
def whole_store(out: Path) -> Iterator[h5py.File]:
    """Open a file for writing, check it at the end of the block, and rename it.

    Raises:
        OperationError: It cannot be written, or it is not a store with possible values.
    """
    temporary = out.with_name(f".{out.name}.part")
    try:
        with files.reraise_os_errors():
            temporary.unlink(missing_ok=True)  # it may be a link
            with h5py.File(temporary, "w") as file:
                yield file
            Store(temporary).close()
            files.sync(temporary)
            temporary.replace(out)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
