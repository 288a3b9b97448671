"""The file of a store: its attributes and columns, read without the HDF5 library."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frami.core.errors import OperationError, UsageError
from frami.core.files import describe_os_error
from frami.data.checksums import CHECKSUM, attributes_checksum, checked_columns, row_checksums
from frami.data.columns import Column, read_column
from frami.data.extents import check_disjoint, has_stray_bytes
from frami.data.hdf5 import (
    ATTRIBUTE,
    SYMBOL_TABLE,
    Hdf5Error,
    Source,
    TruncatedError,
    read_attributes,
    read_messages,
    read_superblock,
)
from frami.data.hdf5_group import read_members
from frami.data.joined_columns import SOURCES, AnyColumn, join, read_sources
from frami.data.row_order import ROWS_PER_BLOCK as ROWS_PER_BLOCK
from frami.data.store_checks import is_shard_of

# Columns whose values must be finite; a loss may be NaN. NaN and infinity have all bits of the
# exponent set. To compare these bits takes a tenth of the time of `numpy.isfinite`.
EXPONENTS = {"mel": (np.uint16, 0x7C00), "teacher_logits": (np.uint32, 0x7F800000)}


class StoreFile:
    """An open file, locked against writers; `close` releases it.

    Attributes:
        path: Path of the file.
        attributes: Its attributes.
        columns: Its columns by name, which may be those of shards (`frami.data.joined_columns`). A
            lenient reader leaves out those that cannot be read.
    """

    def __init__(self, path: Path, *, lenient: bool = False) -> None:
        """Open a file.

        Args:
            path: The file.
            lenient: Accept a file that was cut off and columns that are damaged.

        Raises:
            UsageError: There is no such file.
            OperationError: The file is damaged, was not written by frami, or is open for writing.
        """
        self.path, self._lenient = path, lenient
        self.columns: dict[str, AnyColumn] = {}
        self._own: list[Column] = []
        self._shards: list[StoreFile] = []
        self._descriptor = _open(path)
        try:
            self._source = Source(path, self._descriptor, os.fstat(self._descriptor).st_size)
            self._group = read_superblock(self._source, lenient=lenient)
            header = read_messages(self._source, self._group.header)
            if header.keys() - {ATTRIBUTE} != {SYMBOL_TABLE}:
                raise Hdf5Error("it has links, or other properties that frami does not write")
            self.attributes = read_attributes(self._source, header.get(ATTRIBUTE, []))
        except ValueError as error:
            self.close()
            raise damaged(path, error) from error
        except BaseException:
            self.close()
            raise

    def open_columns(self) -> None:
        """Find all columns.

        Raises:
            ValueError: One is damaged.
            OperationError: The file refers to a shard that is damaged or missing.
        """
        for name, address in read_members(self._source, self._group).items():
            try:
                column = read_column(self._source, address, lenient=self._lenient)
            except ValueError:
                if not self._lenient:
                    raise
            else:
                self.columns[name] = column
                self._own.append(column)
        if SOURCES in self.attributes:
            self._open_shards()
        if not self._lenient:
            check_disjoint(self._own)
            self.check_checksums()

    def _open_shards(self) -> None:
        """Join the columns of the shards that the file refers to."""
        if self.columns:
            raise Hdf5Error("it has clips of its own, and refers to those of others")
        sources = read_sources(self.path, self.attributes[SOURCES])
        for number, path in enumerate(sources.files):
            self._shards.append(shard := StoreFile(path, lenient=self._lenient))
            try:
                shard._open_as_shard(self.attributes, number)
            except ValueError as error:
                raise damaged(path, error) from error
            clips = max(map(len, shard.columns.values()), default=0)
            sources.check_clips(number, clips, self.path)
        sources.check_order()
        self.columns = join([shard.columns for shard in self._shards], sources.batch)

    def _open_as_shard(self, expected: Mapping[str, str], number: int) -> None:
        """Find the columns of a file that another store refers to as this shard, from 0."""
        if SOURCES in self.attributes:
            raise Hdf5Error("it is a shard, and refers to further files")
        if not is_shard_of(expected, self.attributes, number, str(self.path)):
            raise Hdf5Error("it is not the shard that was merged")
        self.open_columns()

    def check_checksums(self) -> None:
        """Raise unless the attributes have their checksum, and the rows have checksums."""
        if self.attributes.get(CHECKSUM) != attributes_checksum(self.attributes):
            raise Hdf5Error("its attributes do not have their checksum")
        column = self.columns.get(CHECKSUM)
        if column is None:
            raise Hdf5Error("it has no column checksum")
        if column.shape[1:] != (len(self.columns) - 1,) or column.dtype != np.uint32:
            raise Hdf5Error("its checksums do not fit its columns")

    def has_stray_bytes(self) -> bool:
        """Return whether bytes that belong to nothing were changed."""
        own = has_stray_bytes(self._source, self._own)
        return own or any(shard.has_stray_bytes() for shard in self._shards)

    def damaged_rows(self, name: str, start: int, values: NDArray[Any]) -> NDArray[np.int64]:
        """Return the numbers of those rows that differ from their checksum, or are not finite.

        Args:
            name: Name of the column.
            start: Number of the first row.
            values: Rows of the column, as they were read.
        """
        place = checked_columns(self.columns).index(name)
        expected = self.columns[CHECKSUM].rows(start, start + len(values))[:, place]
        wrong = (row_checksums(values) != expected) | ~finite_rows(name, values)
        return start + np.flatnonzero(wrong)

    def rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Return rows of a column, checked.

        Raises:
            OperationError: A row differs from its checksum, or has values that are not finite.
        """
        try:
            values = self.columns[name].rows(start, stop)
            wrong = self.damaged_rows(name, start, values)
        except Hdf5Error as error:
            raise damaged(self.path, error) from error
        if len(wrong):
            is_finite = finite_rows(name, values)[wrong[0] - start]
            problem = "differs from its checksum" if is_finite else "has NaN or infinity"
            raise damaged(self.path, f"clip {wrong[0]} {problem} in {name}")
        return values

    @property
    def is_open(self) -> bool:
        """Whether rows can be read."""
        return self._descriptor >= 0

    def close(self) -> None:
        """Close the file."""
        for shard in self._shards:
            shard.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def finite_rows(name: str, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return for each row of a column whether its values are finite, if they must be, ``(S,)``."""
    kind, exponent = EXPONENTS.get(name, (np.uint8, 0))
    if values.dtype.kind != "f" or values.dtype.itemsize != np.dtype(kind).itemsize:
        return np.ones(len(values), bool)
    bits = np.ascontiguousarray(values).view(kind)
    finite: NDArray[np.bool_] = ((bits & exponent) != exponent).all(axis=(*range(1, bits.ndim),))
    return finite


def check_finite(columns: Mapping[str, Any]) -> None:
    """Raise if a batch has values that no store may have."""
    for name in EXPONENTS:
        if not np.isfinite(np.asarray(columns[name])).all():
            raise OperationError(
                f"A clip has NaN or infinity in {name}, or more than 16 bits can hold. Check the "
                f"teacher, and the range of the spectrograms that it takes."
            )


def _open(path: Path) -> int:
    if path.is_dir():
        raise UsageError(f"{path} is a folder, but a store is a file whose name ends in .h5.")
    if not path.is_file():
        raise UsageError(
            f"There is no store {str(path)!r}. To make one, run: {_synthesize_command(path)}"
        )
    if path.stat().st_size == 0:
        raise OperationError(f"{path} is empty. {_hint(path)}")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise OperationError(describe_os_error(error, "read", path)) from error
    try:
        # The lock that the HDF5 library takes, so that a writer leaves this file as it is.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise OperationError(
            f"Another process has {path} open for writing. Close it there, and try again."
        ) from error
    except OSError:  # a file system without locks
        pass
    return descriptor


def damaged(path: Path, problem: object) -> OperationError:
    """Return the error for a store that is damaged, with the ways out."""
    if isinstance(problem, TruncatedError):
        return OperationError(f"{path} is truncated or not an HDF5 file. {_hint(path)}")
    return OperationError(f"{path} is damaged ({problem}). {_hint(path)}")


def _hint(path: Path) -> str:
    return (
        f"Copy the file again, keep its good clips with frami repair {path} --out NEW.h5, or "
        f"delete it and run: {_synthesize_command(path)}"
    )


def _synthesize_command(path: Path) -> str:
    return f"frami synthesize --teacher TEACHER --out {path}"
