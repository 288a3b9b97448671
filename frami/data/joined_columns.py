"""The columns of a store that holds no rows of its own, but names the files of shards.

`frami merge --virtual` writes such a store. Its attribute ``sources`` is a JSON object:

    batch_size   number of rows of a round
    files        names of the shards, relative to the folder of the store, in the order of the plan
    clips        number of rows of each shard

A store may come from a stranger. So a name may only lead to a file in the folder of the store or
below it, also if links are followed.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frami.core.errors import OperationError, UsageError
from frami.core.files import is_file, resolve
from frami.core.json_files import check_entries, parse_json
from frami.core.shards import MOST_SHARDS
from frami.data import row_order
from frami.data.columns import Column
from frami.data.hdf5 import Hdf5Error

SOURCES = "sources"
# Entries of the settings: of a shard, its numbers; of a joined store, the number of its shards.
SHARD, SHARDS = "shard", "shards"


@dataclass(frozen=True)
class Sources:
    """What the attribute ``sources`` of a store says.

    Attributes:
        batch: Number of rows of a round.
        files: Paths of the shards.
        clips: Number of rows of each shard.
    """

    batch: int
    files: tuple[Path, ...]
    clips: tuple[int, ...]

    def check_clips(self, number: int, found: int, store: Path) -> None:
        """Raise an OperationError if a shard has another number of rows."""
        if found != self.clips[number]:
            raise OperationError(
                f"{store} refers to {self.clips[number]:,} clips of {self.files[number]}, which "
                f"has {found:,}. Merge the shards again."
            )

    def check_order(self) -> None:
        """Raise unless the shards have as many rows as their plan gives them.

        The numbers of rows must be those of real files: memory is allocated for them.
        """
        owners = row_order.by_round(self.clips, self.batch)
        if np.bincount(owners, minlength=len(self.clips)).tolist() != list(self.clips):
            raise Hdf5Error("the numbers of clips of its shards do not fit each other")


def describe_sources(paths: Sequence[Path], clips: Sequence[int], batch: int, folder: Path) -> str:
    """Return the attribute ``sources`` for the shards of a plan.

    Raises:
        UsageError: A shard does not lie in the folder of the joined store, or below it.
    """
    folder, names = resolve(folder), []
    for path in paths:
        if not resolve(path).is_relative_to(folder):
            raise UsageError(
                f"{path} does not lie in {folder} or below it, so `virtual` cannot refer to it. "
                f"Choose an `out` beside the shards, or copy their clips."
            )
        names.append(resolve(path).relative_to(folder).as_posix())
    return json.dumps({"batch_size": batch, "files": names, "clips": list(clips)})


def read_sources(store: Path, text: str) -> Sources:
    """Return the attribute ``sources`` of a store, checked.

    Raises:
        ValueError: A name could lead to a file outside of the folder of the store.
        OperationError: A file is missing.
    """
    content = parse_json(text, str(store))
    kinds = {"batch_size": int, "files": list[str], "clips": list[int]}
    check_entries(content, str(store), kinds)
    names, clips = content["files"], content["clips"]
    if not 1 <= len(names) <= MOST_SHARDS or len(clips) != len(names):
        raise Hdf5Error("its list of shards is damaged")
    if content["batch_size"] < 1:
        raise Hdf5Error(f"its batch size is {content['batch_size']}")
    paths = tuple(_find(store, name) for name in names)
    # One file under several names, or links to it, would stand for any number of clips.
    if len({(status.st_dev, status.st_ino) for status in map(Path.stat, paths)}) < len(paths):
        raise Hdf5Error("its list of shards is damaged: one is there twice")
    return Sources(content["batch_size"], paths, tuple(clips))


def _find(store: Path, name: str) -> Path:
    """Return the path of a shard; its name may come from a stranger."""
    folder, relative = resolve(store).parent, PurePosixPath(name)
    path = folder / relative
    is_plain = bool(relative.parts) and not relative.is_absolute() and ".." not in relative.parts
    if not is_plain or not resolve(path).is_relative_to(folder):
        raise Hdf5Error(f"it refers to {name!r}, which is not a file below its own folder")
    if not is_file(path):
        raise OperationError(
            f"{store} refers to the clips of {path}, which is missing. Put that file back, or "
            f"merge the shards again."
        )
    return path


@dataclass(frozen=True)
class JoinedColumn:
    """The rows of a column of several shards, in the order of the rounds of their plan.

    Attributes:
        parts: The column of each shard.
        batch: Number of rows of a round.
        shape: Number of rows, then the shape of a row.
    """

    parts: tuple[Column, ...]
    batch: int
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.parts[0].dtype

    @property
    def chunk(self) -> int:
        """Number of rows per chunk."""
        return self.parts[0].chunk

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Return the rows from ``start`` to ``stop``, exclusive."""
        if not 0 <= start <= stop <= len(self):
            raise IndexError(f"rows {start} to {stop} of {len(self)}")
        values = [self.parts[0].rows(0, 0)]
        while start < stop:
            number, offset = divmod(start, self.batch)
            turn, shard = divmod(number, len(self.parts))
            count = min(stop - start, self.batch - offset)
            first = turn * self.batch + offset
            values.append(self.parts[shard].rows(first, first + count))
            start += count
        return np.concatenate(values)


AnyColumn = Column | JoinedColumn


def join(parts: Sequence[Mapping[str, AnyColumn]], batch: int) -> dict[str, AnyColumn]:
    """Return the columns of the shards of a plan as one store.

    Raises:
        ValueError: The shards differ in their columns.
    """
    joined: dict[str, AnyColumn] = {}
    for name in dict.fromkeys(itertools.chain(*parts)):
        columns = [c for part in parts if isinstance(c := part.get(name), Column)]
        kinds = {(column.dtype, column.shape[1:]) for column in columns}
        if len(columns) < len(parts) or len(kinds) > 1:
            raise Hdf5Error(f"its shards differ in the column {name}")
        shape = (sum(map(len, columns)), *columns[0].shape[1:])
        joined[name] = JoinedColumn(tuple(columns), batch, shape)
    return joined
