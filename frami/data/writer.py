"""Append batches of clips to a store, so that a kill or a full disk loses no finished batch.

HDF5 changes its indices in place: a file that is open for writing when the process dies may never
open again. So a store is never changed where it is. A batch is appended to a spare copy, which then
replaces the store in one rename. The file that it replaces lacks one batch and becomes the next
spare copy. Every batch is written twice, however large the store is.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from torch import Tensor

from frami.core import files, locks
from frami.core.errors import UsageError
from frami.core.settings import describe_differences, settings_to_json
from frami.data.checksums import CHECKSUM, ROWS_PER_CHUNK, attributes_checksum, with_checksums
from frami.data.store import COLUMNS, FORMAT, TIMELINE, Store, store_run_folder
from frami.data.store_file import check_finite

MARGIN = 1 << 20  # bytes that a batch may take in addition to its spectrograms
# A store can only grow with a description that is equal in these attributes.
IDENTITY = ("teacher", "front_end", "method", "settings")


class StoreWriter:
    """The only process that may append to a store, from its creation to `close`.

    Attributes:
        path: The store.
        rows: Number of clips in it.
        front_end: Front end of the spectrograms.
        losses: Names of the losses that are stored for each clip.
    """

    def __init__(
        self,
        path: Path,
        description: Mapping[str, Any],
        *,
        max_frames: int,
        losses: list[str],
        task: str = "single-label",
    ) -> None:
        """Open a store for appending, or create it, and lock it.

        Args:
            path: The store. It must have the suffix .h5 if it does not exist.
            description: Attributes of the store: ``front_end``, ``teacher``, ``labels``,
                ``method``, ``settings``, ...
            max_frames: Number of frames of the longest clip.
            losses: Names of the losses that are stored for each clip.
            task: Name of a task in `frami.models.tasks`. It decides whether the target of a clip is
                a class, tags, or tags and a timeline.

        Raises:
            UsageError: Another process writes to the store, the store was made with another
                description, or the path is not allowed.
        """
        self._has_tags, self._has_timeline = task != "single-label", task == "sound-events"
        self.path, self._max_frames, self.losses = path, max_frames, losses
        self.front_end, self._n_classes = description["front_end"], len(description["labels"])
        # Two names that differ in their suffix alone would share one record.
        if path.is_dir() or not (path.suffix == ".h5" or path.is_file()):
            raise UsageError(
                f"A store cannot be written to {str(path)!r}; name a file that ends in .h5."
            )
        folder = files.ensure_below(path.parent, store_run_folder(path).name)
        self._spare = folder / "spare.h5"
        self._lock = locks.acquire_lock(folder / "lock", f"is writing to {path}")
        # A process that died while writing leaves files that may open and still be wrong.
        for leftover in ("spare.h5", "displaced.h5"):
            (folder / leftover).unlink(missing_ok=True)
        self._attributes = {
            name: value if isinstance(value, str) else json.dumps(value, default=settings_to_json)
            for name, value in description.items()
        } | {"format": FORMAT, "loss_names": json.dumps(losses)}
        self._attributes[CHECKSUM] = attributes_checksum(self._attributes)
        try:
            self.rows = self._check_existing() if path.exists() else self._create()
        except BaseException:
            self.close()
            raise

    def _check_existing(self) -> int:
        """Return the number of clips of an earlier run, if its description is equal."""
        with Store(self.path) as store:
            if not len(store):
                return self._create()
            for name in IDENTITY:
                old, new = store.attributes[name], self._attributes[name]
                # Compared as values, since 1 and 1.0 are different texts.
                if old == new or (old.startswith("{") and json.loads(old) == json.loads(new)):
                    continue
                kind = "other settings" if name == "settings" else f"another {name}"
                raise UsageError(
                    f"{self.path} was made with {kind.replace('_', ' ')} "
                    f"({_describe_changes(old, new)}). Choose another `out`, or repeat the "
                    f"original settings."
                )
            return len(store)

    def _create(self) -> int:
        """Put an empty store in place; return 0, its number of clips."""
        with files.reraise_os_errors():
            reserve(self._spare, 0)
            with h5py.File(self._spare, "w") as file:
                file.attrs.update(self._attributes)
                for name, (dtype, shape, rows) in self._layout().items():
                    file.create_dataset(
                        name, (0, *shape), dtype, maxshape=(None, *shape), chunks=(rows, *shape)
                    )
            self._spare.replace(self.path)
        return 0

    def _layout(self) -> dict[str, tuple[str, tuple[int, ...], int]]:
        """Return the dtype, the shape of a row and the rows per chunk of each column."""
        layout: dict[str, tuple[str, tuple[int, ...], int]] = {
            name: (dtype, (), ROWS_PER_CHUNK) for name, dtype in COLUMNS.items()
        }
        classes, max_frames = self._n_classes, self._max_frames
        method = self._attributes["method"].encode()  # a user's own method may have a long name
        layout["method"] = (f"S{max(32, len(method))}", (), ROWS_PER_CHUNK)
        layout["teacher_logits"] = (COLUMNS["teacher_logits"], (classes,), ROWS_PER_CHUNK)
        layout["losses"] = (COLUMNS["losses"], (max(1, len(self.losses)),), ROWS_PER_CHUNK)
        if self._has_tags:
            layout["target"] = ("float32", (classes,), ROWS_PER_CHUNK)
        if self._has_timeline:
            layout[TIMELINE] = ("uint8", (classes, max_frames), 1)
        layout["mel"] = ("float16", (self.front_end.n_mels, max_frames), 1)
        return layout | {CHECKSUM: ("uint32", (len(layout),), ROWS_PER_CHUNK)}

    def append(self, mel: Tensor, timeline: Tensor | None = None, **columns: Any) -> None:
        """Append a batch of clips.

        Args:
            mel: Spectrograms ``(B, F, N)``, with at most ``max_frames`` frames.
            timeline: Target activities ``(B, K, N)``, for sound events.
            columns: Every other column of `frami.data.store`: ``(B, ...)``, or one value for all.

        Raises:
            OperationError: The disk is full, or a value is not finite. The store is unchanged.
        """
        batch, bands, n_frames = mel.shape
        silence = self.front_end.value_range[0]
        padded = np.full((batch, bands, self._max_frames), silence, dtype=np.float16)
        padded[:, :, :n_frames] = mel.detach().cpu().half().numpy()
        arrays: dict[str, Any] = {"mel": padded, "n_frames": n_frames, **columns}
        check_finite(arrays)
        size = padded.nbytes
        if timeline is not None:
            active = np.zeros((batch, self._n_classes, self._max_frames), dtype=np.uint8)
            active[:, :, :n_frames] = timeline.cpu().numpy()
            arrays[TIMELINE] = active
            size += active.nbytes
        with files.reraise_os_errors():
            self._refresh_spare(size)
            reserve(self._spare, size)
            with h5py.File(self._spare, "r+") as file:
                _extend(file, with_checksums(file, arrays, batch), batch)
                file.flush()
            _swap(self.path, self._spare)
        self.rows += batch

    def _refresh_spare(self, size: int) -> None:
        """Make the spare copy equal to the store: append the missing batch, or copy the store.

        Args:
            size: Size of the missing batch (bytes).
        """
        if self._spare.is_file():
            reserve(self._spare, size)
        try:
            with h5py.File(self._spare, "r+") as spare, h5py.File(self.path, "r") as store:
                old, new = len(spare["mel"]), len(store["mel"])
                if old <= new and dict(spare.attrs) == dict(store.attrs):
                    if old < new:
                        _extend(spare, {name: store[name][old:new] for name in store}, new - old)
                    return
        except (OSError, KeyError, RuntimeError):
            pass  # it does not exist, or another process still reads it, as the former store
        self._spare.unlink(missing_ok=True)
        shutil.copyfile(self.path, self._spare)

    def close(self) -> None:
        """Delete the spare copy, and release the lock."""
        self._spare.unlink(missing_ok=True)
        os.close(self._lock)


def _extend(file: h5py.File, columns: Mapping[str, Any], batch: int) -> None:
    for name in file:
        column = file[name]
        column.resize(len(column) + batch, axis=0)
        column[len(column) - batch :] = columns[name]


def reserve(path: Path, size: int) -> None:
    """Allocate disk space after the end of a file; HDF5 fills it and truncates the rest.

    A full disk raises its error here. In the middle of a write, HDF5 would print tracebacks and
    crash at exit.
    """
    with path.open("ab") as file, suppress(AttributeError):  # macOS has no posix_fallocate
        try:
            os.posix_fallocate(file.fileno(), file.tell(), size + MARGIN)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise OSError(error.errno, error.strerror, str(path)) from error


def _swap(path: Path, spare: Path) -> None:
    """Exchange two files: ``spare`` replaces ``path`` in one rename."""
    files.sync(spare)
    displaced = spare.with_name("displaced.h5")
    displaced.unlink(missing_ok=True)
    try:
        os.link(path, displaced)
    except OSError:  # a file system without hard links: the next batch copies the store
        spare.replace(path)
        return
    spare.replace(path)
    displaced.replace(spare)
    files.sync(path.parent)


def _describe_changes(old: str, new: str) -> str:
    """Return how two attributes differ; for JSON objects, the first three values that do."""
    if not old.startswith("{"):
        return f"{old}, now {new}"
    return describe_differences(json.loads(old), json.loads(new), limit=3)
