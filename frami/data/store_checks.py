"""Check that a store has the documented columns, and values that are possible."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frami.core.errors import OperationError
from frami.core.json_files import check_entries, parse_object
from frami.data.checksums import CHECKSUM
from frami.data.joined_columns import SHARD, SHARDS, AnyColumn

FORMAT = "frami store 1"
ATTRIBUTES = {"format", "front_end", "teacher", "labels", "method", "settings", "loss_names"}
# A shard has these in common with the store that refers to it.
SHARED = ("format", "teacher", "front_end", "labels", "loss_names")
TIMELINE = "timeline"
# The dtype of each column but mel and timeline. Tags change target to float32.
COLUMNS = {
    "n_frames": "int32",
    "target": "int32",
    "teacher_logits": "float32",
    "method": "S32",
    "seed": "int64",
    "round": "int32",
    "step": "int32",
    "losses": "float32",
}
# The types and the numbers of axes that each column may have.
LAYOUT: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "mel": (("f2",), (3,)),
    TIMELINE: (("u1",), (3,)),
    CHECKSUM: (("u4",), (2,)),
    "n_frames": (("i4",), (1,)),
    "target": (("i4", "f4"), (1, 2)),
    "teacher_logits": (("f4",), (2,)),
    "method": (("S",), (1,)),
    "seed": (("i8",), (1,)),
    "round": (("i4",), (1,)),
    "step": (("i4",), (1,)),
    "losses": (("f4",), (2,)),
}


def check_format(path: Path, attributes: Mapping[str, str]) -> None:
    """Raise if a file is not a store, or one of another version of frami."""
    written = attributes.get("format", "")
    if written != FORMAT and written.startswith(FORMAT.rstrip("1")):
        raise OperationError(
            f"{path} has the format {written!r} of another version of frami; this version reads "
            f"{FORMAT!r}. Update frami: pip install --upgrade frami"
        )
    if written != FORMAT:
        raise OperationError(
            f"{path} is an HDF5 file but not a store of frami: its attributes do not have the "
            f"format {FORMAT!r}."
        )
    if missing := sorted(ATTRIBUTES - attributes.keys()):
        raise ValueError(f"it has no attribute {', '.join(missing)}")


def check_columns(columns: Mapping[str, AnyColumn]) -> None:
    """Raise if columns are missing or differ in length, or have other values than documented."""
    if missing := sorted({"mel", *COLUMNS} - columns.keys()):
        raise ValueError(f"it has no column {', '.join(missing)}")
    if unknown := sorted(columns.keys() - {"mel", TIMELINE, CHECKSUM, *COLUMNS}):
        raise ValueError(f"it has the unknown column {', '.join(unknown)}")
    if len({len(column) for column in columns.values()}) != 1:
        raise ValueError("its columns differ in length")
    for name, column in columns.items():
        kinds, axes = LAYOUT[name]
        if column.dtype.str[1:3] not in kinds and column.dtype.kind not in kinds:
            raise ValueError(f"the column {name} has values of the type {column.dtype}")
        if len(column.shape) not in axes:
            raise ValueError(f"the column {name} has {len(column.shape)} axes")


def read_settings(text: str, source: str) -> dict[str, Any]:
    """Return the settings of a run, of a mix of methods, or of several merged runs."""
    settings = parse_object(text, source)
    runs = {"merged": list[dict[str, Any]]}
    plan = {"batch_size": int, "shard": dict[str, int], "shards": int, "lost": int}
    parts = {"method": str, "mix": list[dict[str, Any]], "options": dict, **plan}
    check_entries(settings, source, {}, {**runs, **parts})
    for run in settings.get("merged", []):
        check_entries(run, source, {"settings": dict, "method": str, "clips": int})
    for one in [settings, *(run["settings"] for run in settings.get("merged", []))]:
        check_entries(one, source, {}, parts)
        for part in one.get("mix", []):
            check_entries(part, source, {"method": str, "share": float, "options": dict})
    return settings


def is_shard_of(
    joined: Mapping[str, str], own: Mapping[str, str], number: int, source: str
) -> bool:
    """Return whether attributes are those of a shard of a joined store.

    Without this, a shard that takes the place of another one would give its clips twice.

    Args:
        joined: Attributes of the joined store.
        own: Attributes of the file that stands for the shard.
        number: Number of the shard, from 0.
        source: What the sentences of errors call the file.
    """
    plan, settings = (read_settings(each.get("settings", "{}"), source) for each in (joined, own))
    shard = settings.pop(SHARD, {})
    return (
        all(own.get(name) == joined.get(name) for name in SHARED)
        and shard.get("index") == number + 1
        and plan == {**settings, SHARDS: shard.get("count")}
    )


def check_values(
    columns: Mapping[str, AnyColumn],
    n_frames: NDArray[np.int64],
    targets: NDArray[Any],
    *,
    bands: int,
    classes: int,
    losses: int,
) -> None:
    """Raise if values are out of range: they would fail later, or be read as others.

    Args:
        columns: The columns.
        n_frames: Values of the column ``n_frames``.
        targets: Values of the column ``target``.
        bands: Number of bands of the front end.
        classes: Number of labels.
        losses: Number of names of losses.
    """
    longest = columns["mel"].shape[2]
    shapes = {
        "mel": (bands, longest),
        TIMELINE: (classes, longest),
        "teacher_logits": (classes,),
        "target": () if targets.ndim == 1 else (classes,),
        "losses": (max(1, losses),),
    }
    for name, shape in shapes.items():
        if name in columns and columns[name].shape[1:] != shape:
            raise ValueError(f"a row of {name} has the shape {columns[name].shape[1:]}")
    if n_frames.min(initial=1) < 1 or n_frames.max(initial=1) > longest:
        raise ValueError("a clip has an impossible number of frames")
    limit = classes - 1 if targets.ndim == 1 else 1
    if not bool(((targets >= 0) & (targets <= limit)).all()):
        raise ValueError("a clip has an impossible target")
