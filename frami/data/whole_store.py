"""Write the file of a store under another name, and rename it when it is whole; its record."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py

from frami.core import code, files, locks
from frami.core.errors import FramiError, UsageError
from frami.core.hidden_names import hidden_beside
from frami.core.run import make_record, read_record
from frami.data.joined_columns import AnyColumn
from frami.data.store import Store, store_run_folder
from frami.data.writer import reserve

BYTES_OF_ROW = 128  # of its checksums, and of its places in the file


@contextmanager
def whole_store(out: Path, size: int = 0) -> Iterator[h5py.File]:
    """Open a file for writing, check it at the end of the block, and rename it.

    Args:
        out: The file.
        size: Most bytes that its rows take (`size_of_rows`): a full disk is found before HDF5
            writes them, which could not end in order without space.

    Raises:
        UsageError: Another process writes it, or has written it meanwhile.
        OperationError: It cannot be written, or it is not a store with possible values.
    """
    temporary, lock = (hidden_beside(out, kind) for kind in ("part", "lock"))
    with locks.locked(lock, f"writes {out}"):
        if out.exists():
            raise UsageError(f"{out} exists already. Choose another `out`, or delete it.")
        try:
            with files.reraise_os_errors():
                temporary.unlink(missing_ok=True)  # it may be a link
                reserve(temporary, size)  # HDF5 begins it anew: this only tells whether it fits
                with h5py.File(temporary, "w") as file:
                    yield file
                Store(temporary).close()
                files.sync(temporary)
                temporary.replace(out)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def size_of_rows(stores: Sequence[Mapping[str, AnyColumn]], rows: int) -> int:
    """Return the most bytes that rows take in a store, if they come from stores of these columns.

    Args:
        stores: The columns of each store.
        rows: Number of rows.
    """
    size = rows * BYTES_OF_ROW
    for name in dict.fromkeys(itertools.chain(*stores)):
        columns = [store[name] for store in stores if name in store]
        # Stores may differ in their losses, which become columns beside each other.
        joined: Callable[..., int] = sum if name == "losses" else max
        shape = [joined(sizes) for sizes in zip(*(c.shape[1:] for c in columns), strict=True)]
        width = math.prod(shape) * max(column.dtype.itemsize for column in columns)
        size += (rows + max(column.chunk for column in columns)) * width
    return size


def write_origin(
    out: Path,
    command: str,
    settings: Mapping[str, Any],
    start: float,
    teacher: str,
    references: Iterable[str],
) -> None:
    """Write the record of a store that is made of others.

    This belongs into the block of `whole_store`, so that no store is without its record.

    Args:
        out: The store.
        command: The command that makes it.
        settings: What the store is made of.
        start: `time.monotonic` at the start of the command.
        teacher: Fingerprint of the teacher.
        references: References of the teacher's code; empty ones do not count.
    """
    needs = list(dict.fromkeys(filter(None, references)))
    code_of_teacher = {code.TEACHER_CODE: needs} if needs else {}
    record = make_record(command, settings, start, teacher=teacher, **code_of_teacher)
    run_folder = files.ensure_below(out.parent, store_run_folder(out).name)
    files.write_json(run_folder / "run.json", record)


def recorded_references(store: Path) -> list[str]:
    """Return the references of the teacher's code that the record of a store names.

    There are none without a record, or with one that cannot be read.
    """
    with suppress(FramiError):
        return list(read_record(store_run_folder(store)).get(code.TEACHER_CODE, []))
    return []
