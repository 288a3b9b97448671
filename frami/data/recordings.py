"""Labeled recordings, the split of a data set, and the module that provides a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from frami.core import registry
from frami.core.run_record import settings_id
from frami.data.file_reader import FileReader as FileReader

SUFFIXES = (".wav", ".flac", ".ogg")
SAMPLED_IDS = 64


@dataclass(frozen=True)
class Archive:
    """One file to download.

    Attributes:
        name: File name, here and on a mirror.
        url: Official address.
        checksum: ``md5:`` or ``sha256:`` and the hexadecimal digits. None if the publisher does not
            guarantee the bytes of the file.
    """

    name: str
    url: str
    checksum: str | None


@dataclass(frozen=True)
class Recordings:
    """Labeled clips, read from disk or generated from a seed when they are needed.

    Attributes:
        names: One name per clip: its path below the data set's folder.
        targets: One class index per clip; or tags ``(S, K)``, 1 where a clip has a tag and 0 where
            it does not. Clips without labels have NaN: only a teacher's predictions can label them.
        read: Function of a clip's index and a sample rate (Hz). It returns a mono waveform
            ``(T,)``, float32, as `frami.audio.io.read_audio` does. Spectrograms of a `FileReader`
            are cached.
        events: The events of each clip as (onset s, offset s, class index), or None for a clip
            whose events have no times. None for a data set without events.
        ids: One identifier of the contents of each clip, 16 hex digits, which do not depend on its
            name. Empty if they are not known; leakage is then checked by the names of folds.
    """

    names: tuple[str, ...]
    targets: tuple[int, ...] | NDArray[np.float32]
    read: Callable[[int, int], Tensor]
    events: tuple[tuple[tuple[float, float, int], ...] | None, ...] | None = None
    ids: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def labeled(self) -> Recordings:
        """Return the clips that have labels; of several tags, some may be unknown."""
        unknown = np.isnan(np.asarray(self.targets, dtype=np.float32))
        known = ~unknown.all(axis=1) if unknown.ndim > 1 else ~unknown
        return self if known.all() else self.subset(np.flatnonzero(known).tolist())

    def waveforms(self, sample_rate: int) -> Iterator[Tensor]:
        """Yield every clip as a mono waveform ``(T,)`` at ``sample_rate`` (Hz)."""
        return (self.read(index, sample_rate) for index in range(len(self)))

    def subset(self, indices: Sequence[int]) -> Recordings:
        """Return the clips with these indices."""
        targets = np.asarray(self.targets)[list(indices)]
        kept = tuple(targets.tolist()) if targets.ndim == 1 else targets
        events = None if self.events is None else tuple(self.events[index] for index in indices)
        names = tuple(self.names[index] for index in indices)
        ids = tuple(self.ids[index] for index in indices) if self.ids else ()

        def read(index: int, rate: int) -> Tensor:
            return self.read(indices[index], rate)

        reader = self.read.subset(indices) if isinstance(self.read, FileReader) else read
        return Recordings(names, kept, reader, events, ids)

    @classmethod
    def from_files(cls, folder: Path, items: Sequence[tuple[str, int]]) -> Recordings:
        """Return the recordings of ``(name, target)`` pairs; names are paths below ``folder``."""
        names, targets = zip(*items, strict=True) if items else ((), ())
        return cls(names, targets, FileReader(tuple(folder / name for name in names)))


@dataclass(frozen=True)
class ClipFormat:
    """Length and sample rate of the clips of a data set, which select the default front end.

    Attributes:
        SECONDS: Length of a long clip (s).
        SAMPLE_RATE: Sample rate of the files (Hz).
    """

    SECONDS: float
    SAMPLE_RATE: int


@dataclass(frozen=True)
class Split:
    """One split of a data set's official protocol.

    Attributes:
        dataset: Name of the data set.
        test_fold: Name of the fold held out, as passed to `load_split`.
        labels: Class names, by class index.
        train: Recordings to train on. They share no fold with ``test``.
        test: Recordings held out.
        task: Name of a task in `frami.models.tasks`: the kind of annotation.
        missing: One sentence on the clips of the protocol that this copy lacks, or on how the clips
            were split; empty if the split is the complete protocol.
        unlisted: One sentence on audio files in this copy that the protocol does not list.
        mixed_from: For synthetic mixtures, the ``dataset`` and ``test_fold`` of the recordings that
            they were mixed from. Empty otherwise.
        unusable: One sentence for each clip that was left out because it cannot be used, such as a
            broken file.
        clip_format: Format of the clips, if it depends on the folder; else None: the constants of
            the data set's module hold.
    """

    dataset: str
    test_fold: str
    labels: tuple[str, ...]
    train: Recordings
    test: Recordings
    task: str = "single-label"
    missing: str = ""
    unlisted: str = ""
    mixed_from: Mapping[str, str] = field(default_factory=dict)
    unusable: tuple[str, ...] = ()
    clip_format: ClipFormat | None = None

    @property
    def origin(self) -> dict[str, Any]:
        """Return the provenance that a model trained on this split keeps, for leakage checks."""
        origin: dict[str, Any] = {"dataset": self.dataset, "test_fold": self.test_fold}
        if self.mixed_from:
            origin["mixed_from"] = dict(self.mixed_from)
        if self.train.ids:
            origin["training_clips"] = sample_ids(self.train.ids)
        return origin

    @property
    def fingerprint(self) -> str:
        """Return digits that identify the training clips: their annotations and their contents.

        They are 8 hex digits of the labels and of the clips' names and annotations, and 8 of the
        bytes of their files. The second part is left out if the clips come from no files. Where
        the ids of the clips are known, they stand for the contents.
        """
        contents = "" if self.train.ids else contents_digest(self.train)
        return "-".join(filter(None, [self.annotations_id, contents]))

    @property
    def annotations_id(self) -> str:
        """Return 8 hex digits of the labels and of the training clips' names and annotations.

        Where the ids of the clips are known, they count as well.
        """
        return _annotations_digest(self.labels, self.train)


def _annotations_digest(labels: tuple[str, ...], recordings: Recordings) -> str:
    """Return 8 hex digits of labels, names and annotations, and of the ids where they are known."""
    annotated: tuple[object, ...] = (
        labels,
        recordings.names,
        np.asarray(recordings.targets).tolist(),
        recordings.events,
    )
    if recordings.ids:
        annotated = *annotated, recordings.ids
    return hashlib.sha256(repr(annotated).encode()).hexdigest()[:8]


def fingerprint_of_both_sides(split: Split) -> str:
    """Return digits of the training and the test clips: their annotations and their contents."""
    held_out = _annotations_digest(split.labels, split.test)
    names = settings_id({"train": split.annotations_id, "validation": held_out})
    contents = [contents_digest(side) for side in (split.train, split.test)]
    return f"{names}-{settings_id({'contents': contents})}"


def contents_digest(recordings: Recordings) -> str:
    """Return 8 hex digits of the bytes of the recordings' files; empty if they come from none."""
    read = recordings.read
    return read.contents_digest() if isinstance(read, FileReader) else ""


def sample_ids(ids: Sequence[str]) -> str:
    """Return a sample of `Recordings.ids` that is short enough for a model's provenance.

    The sample has at most `SAMPLED_IDS` clips. They are chosen by their contents, so that two data
    sets that share many clips have sampled clips in common.
    """
    return " ".join(map(short_id, sorted(set(ids))[:SAMPLED_IDS]))


def short_id(clip_id: str) -> str:
    """Return the digits of an identifier that a sample keeps: the last, which are not sorted."""
    return clip_id[-8:]


class DatasetModule(Protocol):
    """A module that provides a data set. `frami.datasets` explains each name.

    A module may leave out the names with a default; `load_dataset` adds them.
    """

    SECONDS: float
    SAMPLE_RATE: int
    FOLDER: str
    ARCHIVES: tuple[Archive, ...] = ()
    DISJOINT_FOLDS: bool = False
    DERIVED_FROM: str | None = None
    ANY_FOLDER: bool = False

    def test_folds(self, folder: Path) -> list[str]:
        """Return the names of the folds that can be held out in this copy."""
        ...

    def split(self, folder: Path, fold: str) -> Split:
        """Return the split that holds out ``fold``."""
        ...


def load_dataset(name: str) -> DatasetModule:
    """Return the module of a data set, with the default of every optional name that it lacks.

    Args:
        name: A name in `frami.datasets`, or the dotted name of a module of your own.

    Raises:
        UsageError: There is no such module, or it lacks a required name.
    """
    return registry.load("datasets", name, DatasetModule)
