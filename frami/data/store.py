"""samples.h5: synthetic spectrograms with where each came from, open for reading; plain h5py opens it too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from frami.audio.frontend import FrontEnd
from frami.core.errors import OperationError, UsageError
from frami.core.settings import settings_from_json

FORMAT = "frami store 1"
HOLDOUT_FRACTION = 0.05
TIMELINE = "timeline"  # only where clips were asked for with events: (S, K, N) uint8
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


def store_run_folder(path: str | Path) -> Path:
    """Return the folder of the run that writes a store: its record, the state to go on from, the spare copy.

    >>> store_run_folder("a/samples.h5").as_posix()
    'a/samples.run'
    """
    return Path(path).with_suffix(".run")


class Store:
    """A finished or growing store, open for reading; it is a `frami.clips.Clips`.

    Attributes:
        frames: Valid frames a clip, ``(S,)``.
        targets: Class index a clip, ``(S,)``, or the probability of each tag, ``(S, K)``.
        front_end: What the spectrograms are made for.
        teacher: Fingerprint of the teacher that they were inverted from.
        labels: Class names, by class index.
        method: The method's name.
        settings: The settings of the run.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = _open(self.path)
        try:
            self._read()
        except (KeyError, ValueError, TypeError, AttributeError, OSError) as error:
            raise OperationError(
                f"{self.path} is damaged ({error}); copy it again, or synthesise it again."
            ) from error

    def _read(self) -> None:
        """Read all but the spectrograms and the columns that only some ask for."""
        attributes = self._file.attrs
        if attributes.get("format") != FORMAT:
            raise OperationError(
                f"{self.path} is an HDF5 file, but no store of frami ({FORMAT!r} is not in its attributes)."
            )
        columns = {"mel", *COLUMNS, *({TIMELINE} & set(self._file))}
        missing = sorted(columns - set(self._file))
        if missing or len({len(self._file[name]) for name in columns}) != 1:
            raise OperationError(
                f"{self.path} is damaged: {', '.join(missing) or 'its columns differ in length'}; synthesise it again."
            )
        self.n_frames = self._file["n_frames"][:].astype(np.int64)
        targets = self._file["target"][:]
        self.targets = targets.astype(np.int64 if targets.ndim == 1 else np.float32)
        self.front_end = settings_from_json(
            FrontEnd, json.loads(attributes["front_end"]), str(self.path)
        )
        self.teacher = str(attributes["teacher"])
        self.labels = tuple(json.loads(attributes["labels"]))
        self.method = str(attributes["method"])
        self.settings: dict[str, Any] = json.loads(attributes["settings"])
        self.loss_names = list(json.loads(attributes["loss_names"]))

    def __len__(self) -> int:
        return len(self.targets)

    def mel(self, index: int) -> Tensor:
        """Return clip ``index`` as ``(F, N)`` float32, valid frames only."""
        return torch.from_numpy(
            self._file["mel"][index, :, : self.n_frames[index]].astype(np.float32)
        )

    def target(self, index: int) -> Tensor:
        """Return what clip ``index`` was made as; see `frami.clips.Clips`."""
        if TIMELINE in self._file:
            return torch.from_numpy(
                self._file[TIMELINE][index, :, : self.n_frames[index]].astype(np.float32)
            )
        return torch.as_tensor(self.targets[index])

    @property
    def task(self) -> str:
        """The task of the teachers that such clips are for."""
        if TIMELINE in self._file:
            return "sound-events"
        return "single-label" if self.targets.ndim == 1 else "multi-label"

    def column(self, name: str) -> np.ndarray:
        """Return a column in full: ``teacher_logits`` (S, K), ``losses`` (S, L), ``round``, ``step``, ``seed``, ``method``."""
        return self._file[name][:]

    def target_agreement(self) -> float:
        """Return the part of the clips (of all clips' tags) that the teacher hears as they were asked for, in [0, 1]."""
        logits = self.column("teacher_logits")
        if self.targets.ndim == 1:
            return float((logits.argmax(axis=1) == self.targets).mean())
        return float(((logits > 0) == (self.targets > 0.5)).mean())

    @property
    def is_open(self) -> bool:
        """Whether clips can be read."""
        return bool(self._file)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class StoreSubset:
    """Some of the clips of a store, by number; it is a `frami.clips.Clips` as well."""

    def __init__(self, store: Store, chosen: np.ndarray) -> None:
        self.store, self.indices = store, chosen
        self.n_frames, self.targets = store.n_frames[chosen], store.targets[chosen]

    def mel(self, index: int) -> Tensor:
        """Return the part's clip ``index`` as ``(F, N)``."""
        return self.store.mel(int(self.indices[index]))

    def target(self, index: int) -> Tensor:
        """Return what the part's clip ``index`` was made as."""
        return self.store.target(int(self.indices[index]))


def train_holdout_split(store: Store) -> tuple[StoreSubset, StoreSubset]:
    """Return what of a store is trained on, and its last 5 %, which are held out."""
    held = max(1, round(HOLDOUT_FRACTION * len(store)))
    numbers = np.arange(len(store))
    return StoreSubset(store, numbers[:-held]), StoreSubset(store, numbers[-held:])


def _open(path: Path) -> h5py.File:
    if path.is_dir():
        raise UsageError(f"{path} is a folder; a store is a file, whose name ends in .h5.")
    if not path.is_file():
        raise UsageError(
            f"There is no store {str(path)!r}; make one: frami synthesize --teacher TEACHER --out {path}."
        )
    try:
        return h5py.File(path, "r")
    except OSError as error:
        what = "is empty" if path.stat().st_size == 0 else "is truncated, or no HDF5 file"
        raise OperationError(
            f"{path} {what}; copy it again, or delete it and synthesise anew."
        ) from error
