"""The one process that may add to a store.

HDF5 changes its indices in place, so a file that is written to when the process dies may never open again. A store is
therefore never written to where it stands: a batch is appended to a spare copy, which then takes the store's place in
one rename; the file that it displaces lacks one batch and becomes the next spare. Each batch is written twice, no
matter how large the store is.
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

from frami.core import files
from frami.core.errors import UsageError
from frami.core.settings import settings_to_json
from frami.data.store import COLUMNS, FORMAT, TIMELINE, Store, store_run_folder

MARGIN = 1 << 20  # bytes that a batch may take beside its spectrograms


class StoreWriter:
    """The one process that may add to a store.

    Args:
        path: The store; it need not be there.
        description: Attributes of a new store: ``front_end``, ``teacher``, ``labels``, ``method``, ``settings``, ...
        frames: Longest clip, in frames.
        losses: Names of the losses kept for each clip.
        task: A name of `frami.tasks`: whether a clip is asked for by a class, by tags, or by events as well.

    Raises:
        WrongUse: another process writes to the store, or it was made with another description; another suffix than .h5.
    """

    def __init__(
        self,
        path: Path,
        description: Mapping[str, Any],
        *,
        frames: int,
        losses: list[str],
        task: str = "single-label",
    ) -> None:
        self.tags, self.timed = task != "single-label", task == "sound-events"
        self.path, self.frames, self.losses = path, frames, losses
        self.front_end, self.classes = description["front_end"], len(description["labels"])
        # Two names that differ in their suffix alone would share one record.
        if path.is_dir() or not (path.suffix == ".h5" or path.is_file()):
            raise UsageError(
                f"A store cannot be written to {str(path)!r}; name a file that ends in .h5."
            )
        folder = files.ensure_dir(store_run_folder(path))
        self._spare = folder / "spare.h5"
        self._lock = files.acquire_lock(folder / "lock", f"is writing to {path}")
        # What a process left that died in the middle of a write may open, and yet hold anything.
        for left in ("spare.h5", "displaced.h5"):
            (folder / left).unlink(missing_ok=True)
        self._attributes = {
            name: value if isinstance(value, str) else json.dumps(value, default=settings_to_json)
            for name, value in description.items()
        } | {"format": FORMAT, "loss_names": json.dumps(losses)}
        try:
            self.rows = self._agreed() if path.exists() else self._create()
        except BaseException:
            self.close()
            raise

    def _agreed(self) -> int:
        """Return the number of clips that an earlier run has left, if that run was like this one."""
        with Store(self.path) as store:
            if not len(store):
                return self._create()
            for name in ("teacher", "front_end", "method", "settings"):
                before, now = store._file.attrs[name], self._attributes[name]
                # 1 and 1.0 are written differently.
                if before != now and (
                    not before.startswith("{") or json.loads(before) != json.loads(now)
                ):
                    what = (
                        "other settings"
                        if name == "settings"
                        else f"another {name.replace('_', ' ')}"
                    )
                    raise UsageError(
                        f"{self.path} was made with {what} ({_changes(before, now)}); "
                        f"choose another --out, or repeat what it was made with."
                    )
            return len(store)

    def _create(self) -> int:
        bands, frames = self.front_end.n_mels, self.frames
        shapes = {
            "teacher_logits": (self.classes,),
            "target": (self.classes,) if self.tags else (),
            "losses": (max(1, len(self.losses)),),
        }
        with files.reraise_os_errors():
            _reserve(self._spare, 0)
            with h5py.File(self._spare, "w") as file:
                file.attrs.update(self._attributes)
                file.create_dataset(
                    "mel",
                    (0, bands, frames),
                    "float16",
                    maxshape=(None, bands, frames),
                    chunks=(1, bands, frames),
                )
                name = self._attributes[
                    "method"
                ].encode()  # a method of one's own may have a long one
                columns = (
                    COLUMNS
                    | {"method": f"S{max(32, len(name))}"}
                    | ({"target": "float32"} if self.tags else {})
                )
                for column, kind in columns.items():
                    rest = shapes.get(column, ())
                    file.create_dataset(
                        column, (0, *rest), kind, maxshape=(None, *rest), chunks=(256, *rest)
                    )
                if self.timed:
                    shape = (self.classes, frames)
                    file.create_dataset(
                        TIMELINE, (0, *shape), "uint8", maxshape=(None, *shape), chunks=(1, *shape)
                    )
            self._spare.replace(self.path)
        return 0

    def append(self, mel: Tensor, timeline: Tensor | None = None, **columns: Any) -> None:
        """Add a batch: ``mel`` (B, F, N), N at most ``frames``, and every column, ``(B, ...)`` or one value for all.

        ``timeline`` (B, K, N) says when each class sounds, where clips are asked for with events.
        """
        batch, bands, frames = mel.shape
        padded = np.full(
            (batch, bands, self.frames), self.front_end.value_range[0], dtype=np.float16
        )
        padded[:, :, :frames] = mel.detach().cpu().numpy()
        if timeline is not None:
            columns[TIMELINE] = np.zeros((batch, self.classes, self.frames), dtype=np.uint8)
            columns[TIMELINE][:, :, :frames] = timeline.cpu().numpy()
        with files.reraise_os_errors():
            size = padded.nbytes + (columns[TIMELINE].nbytes if timeline is not None else 0)
            self._refresh_spare(size)
            _reserve(self._spare, size)
            with h5py.File(self._spare, "r+") as file:
                _extend(file, {"mel": padded, "n_frames": frames, **columns}, batch)
                file.flush()
            _swap(self.path, self._spare)
        self.rows += batch

    def _refresh_spare(self, size: int) -> None:
        """Bring the spare up to the store: by the one batch (of ``size`` bytes) that it lacks, or by a copy."""
        if self._spare.is_file():
            _reserve(self._spare, size)
        try:
            with h5py.File(self._spare, "r+") as spare, h5py.File(self.path, "r") as store:
                have, want = len(spare["mel"]), len(store["mel"])
                if have <= want and dict(spare.attrs) == dict(store.attrs):
                    if have < want:
                        _extend(
                            spare, {name: store[name][have:want] for name in store}, want - have
                        )
                    return
        except (OSError, KeyError, RuntimeError):
            pass  # not there, or someone reads it, who opened it while it was the store
        self._spare.unlink(missing_ok=True)
        shutil.copyfile(self.path, self._spare)

    def close(self) -> None:
        """Let other processes write again; the spare copy goes."""
        self._spare.unlink(missing_ok=True)
        os.close(self._lock)


def _extend(file: h5py.File, columns: Mapping[str, Any], batch: int) -> None:
    for name in file:
        column = file[name]
        column.resize(len(column) + batch, axis=0)
        column[len(column) - batch :] = columns[name]


def _reserve(path: Path, size: int) -> None:
    """Take up room behind the end of a file, which HDF5 fills and cuts to size.

    A disk that is full says so here; told in the middle of a write, HDF5 prints tracebacks and crashes at exit.
    """
    with path.open("ab") as file, suppress(AttributeError):  # macOS has no such call
        try:
            os.posix_fallocate(file.fileno(), file.tell(), size + MARGIN)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise OSError(error.errno, error.strerror, str(path)) from error


def _swap(path: Path, spare: Path) -> None:
    """Put ``spare`` in the place of ``path`` in one rename; what stood there becomes the spare."""
    displaced = spare.with_name("displaced.h5")
    displaced.unlink(missing_ok=True)
    try:
        os.link(path, displaced)
    except OSError:  # a file system without links: the next batch begins with a copy
        spare.replace(path)
        return
    spare.replace(path)
    displaced.replace(spare)


def _changes(before: str, now: str) -> str:
    """Return what differs between two descriptions, of an object (JSON) the first few of its values."""
    if not before.startswith("{"):
        return f"{before}, now {now}"
    old, new = (_flat(json.loads(text)) for text in (before, now))
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return "; ".join(f"{name} {old.get(name)}, now {new.get(name)}" for name in names[:3])


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object's values, and those of the objects in it, by name."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value) if isinstance(value, Mapping) else {name: value}
    return flat
