"""Read ``samples.h5``: synthetic spectrograms with the origin of each. Plain h5py reads it, too.

A store may come from a stranger: `frami.data.hdf5` tells how it is read. A store of shards may hold
no rows, but the names of other files (`frami.data.joined_columns`).

The file has one row per clip in every column, and these columns:

    mel             (S, F, N)   spectrogram, float16; frames after the end of a clip are silent
    n_frames        (S,)        number of valid frames
    target          (S,)        class that the clip was optimized for; (S, K) for tags
    teacher_logits  (S, K)      the teacher's logits for the clip
    method          (S,)        name of the inversion method
    seed            (S,)        seed of the run
    round           (S,)        index of the round within the run
    step            (S,)        optimization step of the round that gave the clip
    losses          (S, L)      values of the losses, in the order of the attribute ``loss_names``
    timeline        (S, K, N)   1 where a class should be active; only for sound-event detectors
    checksum        (S, C)      checksum of each row of the other columns (`frami.data.checksums`)

Its attributes describe the run. Those that are not text are JSON.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frami.audio.frontend import FrontEnd
from frami.core.files import expand
from frami.core.json_files import parse_object, parse_texts
from frami.core.settings import settings_from_json
from frami.data.checksums import CHECKSUM
from frami.data.joined_columns import AnyColumn
from frami.data.store_checks import ATTRIBUTES as ATTRIBUTES
from frami.data.store_checks import COLUMNS as COLUMNS
from frami.data.store_checks import FORMAT as FORMAT
from frami.data.store_checks import TIMELINE as TIMELINE
from frami.data.store_checks import check_columns, check_format, check_values, read_settings
from frami.data.store_file import StoreFile, damaged

HOLDOUT_FRACTION = 0.05


def store_run_folder(path: str | Path) -> Path:
    """Return the folder of the run that writes a store: its record, its state and a spare copy.

    >>> store_run_folder("a/samples.h5").as_posix()
    'a/samples.run'
    """
    return expand(path).with_suffix(".run")


class Store:
    """A store open for reading, finished or still growing; it is a `frami.data.clips.Clips`.

    Attributes:
        path: Path of the file.
        n_frames: Number of valid frames per clip, ``(S,)``.
        targets: Target class per clip ``(S,)``, or target probability of each tag ``(S, K)``.
        front_end: Front end of the spectrograms.
        teacher: Fingerprint of the teacher that was inverted.
        labels: Class names, by class index.
        method: Name of the inversion method.
        settings: Settings of the run.
        loss_names: Names of the columns of ``losses``.
    """

    def __init__(self, path: str | Path) -> None:
        """Open a store.

        Raises:
            UsageError: There is no such file.
            OperationError: The file is damaged, or is not a store.
        """
        self.path = expand(path)
        self._file = StoreFile(self.path)
        try:
            self._read()
        except ValueError as error:
            self.close()
            raise damaged(self.path, error) from error
        except BaseException:
            self.close()
            raise

    def _read(self) -> None:
        """Read everything but the spectrograms and the columns that few callers need."""
        check_format(self.path, self.attributes)
        self._file.open_columns()
        check_columns(self._file.columns)
        source, attributes = str(self.path), self.attributes
        self.n_frames = self.column("n_frames").astype(np.int64)
        targets = self.column("target")
        self.targets: NDArray[Any] = targets.astype(np.int64 if targets.ndim == 1 else np.float32)
        self.front_end = settings_from_json(
            FrontEnd, parse_object(attributes["front_end"], source), source
        )
        self.teacher, self.method = attributes["teacher"], attributes["method"]
        self.labels = parse_texts(attributes["labels"], source)
        self.settings = read_settings(attributes["settings"], source)
        self.loss_names = list(parse_texts(attributes["loss_names"], source))
        check_values(
            self._file.columns,
            self.n_frames,
            self.targets,
            bands=self.front_end.n_mels,
            classes=len(self.labels),
            losses=len(self.loss_names),
        )

    def __len__(self) -> int:
        return len(self._file.columns["target"])

    @property
    def attributes(self) -> dict[str, Any]:
        """Return the attributes of the file, as they are written."""
        return dict(self._file.attributes)

    def mel(self, index: int) -> Tensor:
        """Return the spectrogram of a clip, ``(F, N)`` float32, valid frames only."""
        return self._valid_frames("mel", index)

    def target(self, index: int) -> Tensor:
        """Return the target that a clip was optimized for; see `frami.data.clips.Clips`."""
        if TIMELINE in self._file.columns:
            return self._valid_frames(TIMELINE, index)
        return torch.as_tensor(self.targets[index])

    def _valid_frames(self, column: str, index: int) -> Tensor:
        index = int(index) % len(self)
        values = self._file.rows(column, index, index + 1)[0, :, : int(self.n_frames[index])]
        return torch.from_numpy(values).float()

    @property
    def task(self) -> str:
        """Return the task of the models that can be trained on the clips."""
        if TIMELINE in self._file.columns:
            return "sound-events"
        return "single-label" if self.targets.ndim == 1 else "multi-label"

    def column(self, name: str) -> np.ndarray:
        """Return a whole column, such as ``teacher_logits`` (S, K) or ``losses`` (S, L).

        Raises:
            OperationError: A row differs from its checksum.
        """
        return self.rows(name, 0, len(self))

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
        """Return rows of a column; it raises the errors of `column`."""
        return self._file.rows(name, start, stop)

    @property
    def columns(self) -> dict[str, AnyColumn]:
        """Return the columns but the checksums, unchecked."""
        return {name: c for name, c in self._file.columns.items() if name != CHECKSUM}

    def target_agreement(self, rows: np.ndarray | slice = slice(None)) -> float:
        """Return the part of clips for which the teacher predicts the target class, in [0, 1].

        With tags, it is the part of all tags of all clips that the teacher predicts as the target
        has them. Higher is better. ``rows`` chooses some of the clips.
        """
        logits, targets = self.column("teacher_logits")[rows], self.targets[rows]
        if targets.ndim == 1:
            return float((logits.argmax(axis=1) == targets).mean())
        return float(((logits > 0) == (targets > 0.5)).mean())

    def optimized(self) -> np.ndarray:
        """Return for each clip whether a loss was minimized for it, ``(S,)`` bool.

        Other clips, such as noise, were not made for their target.
        """
        losses = self.column("losses")[:, : len(self.loss_names)]
        known: np.ndarray = ~np.isnan(losses).all(axis=1)
        return known

    @property
    def contents_digest(self) -> str:
        """Return 8 hex digits of the targets and the teacher's logits, which tell clips apart."""
        digest = hashlib.sha256(self.n_frames.tobytes() + self.targets.tobytes())
        digest.update(self.column("teacher_logits").tobytes())
        return digest.hexdigest()[:8]

    @property
    def is_open(self) -> bool:
        """Tell whether clips can be read."""
        return self._file.is_open

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class StoreSubset:
    """Some clips of a store, by index; it is a `frami.data.clips.Clips`.

    Attributes:
        store: The whole store.
        indices: Indices of the clips in the store.
        n_frames: Number of valid frames per clip.
        targets: Targets of the clips, as in `Store`.
    """

    def __init__(self, store: Store, indices: np.ndarray) -> None:
        self.store, self.indices = store, indices
        self.n_frames, self.targets = store.n_frames[indices], store.targets[indices]

    def mel(self, index: int) -> Tensor:
        """Return the spectrogram of a clip of the subset, ``(F, N)`` float32."""
        return self.store.mel(int(self.indices[index]))

    def target(self, index: int) -> Tensor:
        """Return the target of a clip of the subset."""
        return self.store.target(int(self.indices[index]))


def train_holdout_split(store: Store) -> tuple[StoreSubset, StoreSubset]:
    """Return the clips of a store to train on, and the held-out ones: each method's last 5 %.

    They are 5 % in all, whatever methods a store names: some clips are left to train on.
    """
    n_held_out = max(1, round(HOLDOUT_FRACTION * len(store)))
    _, method, counts = np.unique(store.column("method"), return_inverse=True, return_counts=True)
    later = np.empty(len(store))  # clips of the same method after each clip
    by_method = np.argsort(method, kind="stable")
    later[by_method] = np.repeat(counts.cumsum(), counts) - np.arange(len(store)) - 1
    order = np.argsort((later + 0.5) / counts[method], kind="stable")
    held_out, train = np.sort(order[:n_held_out]), np.sort(order[n_held_out:])
    return StoreSubset(store, train), StoreSubset(store, held_out)
