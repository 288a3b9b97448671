"""Columns that refer to the files of shards instead of holding their rows (HDF5 virtual data sets).

HDF5 reads rows of a missing file as zeros. So every file is looked up when the store is opened.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py

from frami.core.errors import OperationError


def write_columns(file: h5py.File, shards: Sequence[h5py.File], batch: int) -> None:
    """Write columns that refer to the rows of shards, in the order of the rounds of their plan.

    Args:
        file: The file to write.
        shards: The shards of one plan, in order.
        batch: Number of rows of a round.
    """
    folder = Path(file.filename).resolve().parent
    counts = [len(shard["mel"]) for shard in shards]
    for name in shards[0]:
        first = shards[0][name]
        layout = h5py.VirtualLayout((sum(counts), *first.shape[1:]), first.dtype)
        for number, (shard, count) in enumerate(zip(shards, counts, strict=True)):
            path = os.path.relpath(Path(shard.filename).resolve(), folder)
            rows = h5py.MultiBlockSlice(
                start=number * batch,
                stride=len(shards) * batch,
                count=count // batch,
                block=batch,
            )
            layout[rows] = h5py.VirtualSource(path, name, shape=(count, *first.shape[1:]))
        file.create_virtual_dataset(name, layout)


def check_sources(file: h5py.File) -> None:
    """Raise if a column of a file refers to another file that is missing or was changed.

    Raises:
        OperationError: A file is missing, cannot be read, or has another number of rows.
    """
    path = Path(file.filename)
    rows_of: dict[str, dict[str, int]] = defaultdict(dict)
    for column in file.values():
        for source in column.virtual_sources() if column.is_virtual else ():
            size = math.prod(column.shape[1:])
            rows = source.vspace.get_select_npoints() // max(1, size)
            rows_of[source.file_name][source.dset_name] = rows
    for name, expected in rows_of.items():
        _check_source(path, path.resolve().parent / name, expected)


def _check_source(path: Path, other: Path, expected: Mapping[str, int]) -> None:
    """Raise unless a file has the expected numbers of rows, by column."""
    try:
        with h5py.File(other, "r") as file:
            found = {column: len(file[column]) for column in expected}
    except (OSError, KeyError) as error:
        problem = "is damaged" if other.is_file() else "is missing"
        raise OperationError(
            f"{path} refers to the clips of {other}, which {problem}. Put that file back, or merge "
            f"the shards again."
        ) from error
    for column, rows in expected.items():
        if found[column] != rows:
            raise OperationError(
                f"{path} refers to {rows:,} clips of {other}, which has {found[column]:,}. Merge "
                f"the shards again."
            )
