"""Write the attributes and the rows of several stores into the file of a merged one."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from frami.data import row_order
from frami.data.checksums import (
    CHECKSUM,
    attributes_checksum,
    reserve_checksums,
    small_first,
    write_checksums,
)
from frami.data.joined_columns import SOURCES, describe_sources
from frami.data.store import Store


def write_merged(
    sources: Sequence[Store], file: h5py.File, settings: Mapping[str, Any], *, virtual: bool
) -> None:
    """Write the attributes and columns of the merged store."""
    losses = list(dict.fromkeys(itertools.chain(*(store.loss_names for store in sources))))
    attributes, batch = _attributes(sources, losses, settings), settings.get("batch_size", 0)
    if virtual:
        paths, clips = [store.path for store in sources], [len(store) for store in sources]
        attributes[SOURCES] = describe_sources(paths, clips, batch, Path(file.filename).parent)
    file.attrs.update(attributes, **{CHECKSUM: attributes_checksum(attributes)})
    if virtual:
        return
    fill = {"mel": sources[0].front_end.value_range[0], "losses": np.nan}
    reserve_checksums(file, sources[0].columns, sum(map(len, sources)))
    for name in small_first(sources[0].columns):
        column = _create_column(file, name, sources, losses)
        where = [_loss_positions(s, losses) for s in sources] if name == "losses" else None
        _copy_column(column, name, sources, fill.get(name, 0), where, batch)
    write_checksums(file)


def _attributes(
    sources: Sequence[Store], losses: list[str], settings: Mapping[str, Any]
) -> dict[str, str]:
    methods = itertools.chain(*(store.method.split("+") for store in sources))
    return {
        **{
            name: sources[0].attributes[name]
            for name in ("format", "teacher", "front_end", "labels")
        },
        "method": "+".join(dict.fromkeys(methods)),
        "loss_names": json.dumps(losses),
        "settings": json.dumps(settings),
    }


def _create_column(
    file: h5py.File, name: str, sources: Sequence[Store], losses: list[str]
) -> h5py.Dataset:
    """Create a column for all rows, as wide as that of the widest store."""
    columns = [store.columns[name] for store in sources]
    shape = tuple(max(sizes) for sizes in zip(*(c.shape[1:] for c in columns), strict=True))
    if name == "losses":
        shape = (max(1, len(losses)),)
    rows = sum(len(column) for column in columns)
    dtype = max((column.dtype for column in columns), key=lambda kind: kind.itemsize)
    chunks = (columns[0].chunk, *shape)
    return file.create_dataset(name, (rows, *shape), dtype, maxshape=(None, *shape), chunks=chunks)


def _loss_positions(store: Store, losses: list[str]) -> list[int]:
    """Return the column of each loss of a store in the merged store."""
    places = {name: place for place, name in enumerate(losses)}  # a file may have many
    return [places[name] for name in store.loss_names]


def _copy_column(
    merged: h5py.Dataset,
    name: str,
    sources: Sequence[Store],
    fill: float,
    positions: Sequence[list[int]] | None,
    batch: int,
) -> None:
    """Copy the rows of all stores; ``fill`` pads rows that are narrower."""
    done = [0] * len(sources)
    for start, owners in row_order.blocks([len(store) for store in sources], batch):
        shape = (len(owners), *merged.shape[1:])
        block = np.full(shape, fill if merged.dtype.kind in "fiu" else b"", merged.dtype)
        for number, store in enumerate(sources):
            rows = np.flatnonzero(owners == number)
            values = store.rows(name, done[number], done[number] + len(rows))
            done[number] += len(rows)
            if positions is not None:
                block[rows[:, None], positions[number]] = values[:, : len(positions[number])]
            else:
                narrower: Any = (rows, *map(slice, values.shape[1:]))
                block[narrower] = values
        merged[start : start + len(owners)] = block
