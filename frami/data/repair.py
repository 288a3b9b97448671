"""Check every clip of a store, and copy the good clips of a damaged one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from frami.core import files
from frami.core.errors import OperationError, UsageError
from frami.core.files import expand
from frami.core.progress import ProgressCallback, set_total, silent
from frami.core.text import count
from frami.data.checksums import (
    CHECKSUM,
    attributes_checksum,
    checked_columns,
    reserve_checksums,
    small_first,
    write_checksums,
)
from frami.data.columns import Column
from frami.data.hdf5 import Hdf5Error
from frami.data.joined_columns import AnyColumn
from frami.data.shards import with_lost
from frami.data.store import ATTRIBUTES, COLUMNS, FORMAT, TIMELINE, Store
from frami.data.store_checks import read_settings
from frami.data.store_file import ROWS_PER_BLOCK, StoreFile, damaged
from frami.data.whole_store import recorded_references, size_of_rows, whole_store, write_origin


@dataclass(frozen=True)
class Condition:
    """What a check of all clips found.

    Attributes:
        clips: Number of clips that the store should have.
        damaged: Numbers of the clips that are damaged or missing, by column.
    """

    clips: int
    damaged: dict[str, NDArray[np.int64]]

    @property
    def lost(self) -> NDArray[np.int64]:
        """Numbers of the clips that are damaged in any column."""
        return np.unique(np.concatenate([*self.damaged.values(), np.zeros(0, np.int64)]))

    def describe(self) -> str:
        """Return the finding in one sentence."""
        if not len(self.lost):
            return f"All {count(self.clips, 'clip')} have their checksums."
        parts = ", ".join(f"{len(rows)} in {name}" for name, rows in self.damaged.items())
        return f"{count(len(self.lost), 'clip')} of {self.clips:,} damaged or missing: {parts}."


def verify(store: str | Path, report: ProgressCallback = silent) -> Condition:
    """Return the condition of all clips of a store that can be opened.

    Args:
        store: The file.
        report: Called with the number of clips that were read.

    Raises:
        OperationError: The file cannot be opened as a store.
    """
    path = expand(store)
    file = StoreFile(path)
    try:
        file.open_columns()
        condition = _check(file, report)
        if file.has_stray_bytes():
            raise ValueError("bytes that belong to no clip were changed")
    except ValueError as error:
        raise damaged(path, error) from error
    finally:
        file.close()
    if not len(condition.lost):
        Store(path).close()  # checks the values, too
    return condition


def repair(store: str | Path, out: str | Path, report: ProgressCallback = silent) -> Condition:
    """Write the good clips of a damaged store into a new one, in their order.

    The store may be cut off, or lack parts. Its description must be whole: it says how the clips
    are to be read.

    Args:
        store: The damaged file.
        out: The file to write. It must not exist.
        report: Called with the number of clips that were read.

    Returns:
        What was lost.

    Raises:
        UsageError: There is no such file, or ``out`` exists.
        OperationError: The description is damaged, or no clip is good.
    """
    start, store, out = time.monotonic(), expand(store), expand(out)
    if out.exists():
        raise UsageError(f"{out} exists already. Choose another `out`, or delete it.")
    if out.suffix != ".h5":
        raise UsageError(f"A store cannot be written to {str(out)!r}; name a file ending in .h5.")
    file = StoreFile(store, lenient=True)
    try:
        _open_description(file)
        condition = _check(file, report)
        good = np.setdiff1d(np.arange(condition.clips), condition.lost)
        if not len(good):
            raise OperationError(f"{store} has no clip that is whole. Copy the file again.")
        files.ensure_dir(out.parent)
        references = recorded_references(store)
        with whole_store(out, size_of_rows([file.columns], len(good))) as new:
            _copy(file, good, new, len(condition.lost))
            lost = condition.lost.tolist()
            settings = {"store": str(store), "clips": condition.clips, "lost": lost}
            teacher = str(file.attributes["teacher"])
            write_origin(out, "repair", settings, start, teacher, references)
    finally:
        file.close()
    return condition


def _open_description(file: StoreFile) -> None:
    """Raise unless the attributes are whole, and all columns are there at least in part."""
    known = file.attributes
    is_whole = known.get(CHECKSUM) == attributes_checksum(known)
    if known.get("format") != FORMAT or ATTRIBUTES - known.keys() or not is_whole:
        raise OperationError(
            f"The description of {file.path} is damaged, so that its clips cannot be read. Copy "
            f"the file again."
        )
    try:
        file.open_columns()
        missing = {"mel", *COLUMNS} - file.columns.keys()
        file.check_checksums()
    except ValueError as error:
        raise OperationError(
            f"The list of columns of {file.path} is damaged ({error}). Copy the file again."
        ) from error
    if missing:
        raise OperationError(
            f"{file.path} lacks the whole column {min(missing)}. Copy the file again."
        )


def _check(file: StoreFile, report: ProgressCallback) -> Condition:
    clips = max(len(column) for column in file.columns.values())
    set_total(report, clips)
    lost: dict[str, list[NDArray[np.int64]]] = {}
    for start in range(0, clips, ROWS_PER_BLOCK):
        report(start)
        stop = min(start + ROWS_PER_BLOCK, clips)
        for name in checked_columns(file.columns):
            if len(rows := _lost_rows(file, name, start, stop)):
                lost.setdefault(name, []).append(rows)
    report(clips)
    return Condition(clips, {name: np.concatenate(rows) for name, rows in lost.items()})


def _lost_rows(file: StoreFile, name: str, start: int, stop: int) -> NDArray[np.int64]:
    """Return the numbers of the damaged rows of a block; row by row if it cannot be read whole."""
    column = file.columns[name]
    if isinstance(column, Column) and column.lacks(start, stop):
        return np.arange(start, stop)
    try:
        return file.damaged_rows(name, start, column.rows(start, stop))
    except (Hdf5Error, IndexError):
        if stop - start == 1:
            return np.array([start])
        return np.concatenate([_lost_rows(file, name, i, i + 1) for i in range(start, stop)])


def _blocks(rows: NDArray[np.int64]) -> Iterator[tuple[slice, NDArray[np.int64]]]:
    for start in range(0, len(rows), ROWS_PER_BLOCK):
        block = rows[start : start + ROWS_PER_BLOCK]
        yield slice(start, start + len(block)), block


def _read(column: AnyColumn, rows: NDArray[np.int64]) -> NDArray[Any]:
    first, last = int(rows[0]), int(rows[-1])
    if last - first == len(rows) - 1:
        return column.rows(first, last + 1)
    return np.concatenate([column.rows(i, i + 1) for i in rows.tolist()])


def _copy(file: StoreFile, good: NDArray[np.int64], new: h5py.File, lost: int) -> None:
    """Write some rows into a new store, which lacks ``lost`` others."""
    names = [name for name in file.columns if name in {"mel", TIMELINE, *COLUMNS}]
    attributes = {name: text for name, text in file.attributes.items() if name in ATTRIBUTES}
    settings = read_settings(attributes["settings"], str(file.path))
    attributes["settings"] = json.dumps(with_lost(settings, lost))
    new.attrs.update(attributes, **{CHECKSUM: attributes_checksum(attributes)})
    reserve_checksums(new, names, len(good))
    for name in small_first(names):
        column, shape = file.columns[name], file.columns[name].shape[1:]
        copy = new.create_dataset(
            name,
            (len(good), *shape),
            column.dtype,
            maxshape=(None, *shape),
            chunks=(column.chunk, *shape),
        )
        for place, rows in _blocks(good):
            copy[place] = _read(column, rows)
    write_checksums(new)
