"""Recordings and the splits of a data set's protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from frami.audio.io import read_audio

SUFFIXES = (".wav", ".flac", ".ogg")


@dataclass(frozen=True)
class Archive:
    """One file to download.

    Attributes:
        name: Its name here and on a mirror.
        url: Its official address.
        checksum: ``md5:`` or ``sha256:`` and the hexadecimal digits; None where the publisher fixes no bytes.
    """

    name: str
    url: str
    checksum: str | None


@dataclass(frozen=True)
class Recordings:
    """Clips on disk (or made from a seed) with their labels.

    Attributes:
        names: One name a clip: its path below the data set's folder.
        targets: One class index a clip; or for each clip 1 where it has a tag and 0 elsewhere, ``(S, K)``, NaN if it has no
            labels: a teacher is what there is to learn of such clips.
        events: For each clip its events as (onset s, offset s, class index), or None where they are not timed; None for
            clips that have none by their nature.
        read: Clip number and rate (Hz) to a mono waveform ``(T,)``, float32, as `frami.audio.read` gives it.
    """

    names: tuple[str, ...]
    targets: tuple[int, ...] | NDArray[np.float32]
    read: Callable[[int, int], Tensor]
    events: tuple[tuple[tuple[float, float, int], ...] | None, ...] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def labeled(self) -> Recordings:
        """Return the clips that have labels."""
        unknown = np.isnan(np.asarray(self.targets, dtype=np.float32))
        known = ~unknown.any(axis=1) if unknown.ndim > 1 else ~unknown
        return self if known.all() else self.subset(np.flatnonzero(known).tolist())

    def waveforms(self, sample_rate: int) -> Iterator[Tensor]:
        """Yield every clip as a mono waveform ``(T,)`` at ``sample_rate`` (Hz)."""
        return (self.read(index, sample_rate) for index in range(len(self)))

    def subset(self, chosen: Sequence[int]) -> Recordings:
        """Return the clips of these numbers."""
        targets = np.asarray(self.targets)[list(chosen)]
        kept = tuple(targets.tolist()) if targets.ndim == 1 else targets
        events = None if self.events is None else tuple(self.events[number] for number in chosen)
        names = tuple(self.names[number] for number in chosen)
        return Recordings(names, kept, lambda index, rate: self.read(chosen[index], rate), events)

    @classmethod
    def from_files(cls, folder: Path, items: list[tuple[str, int]]) -> Recordings:
        """Return the recordings of ``(name, target)`` pairs; names are paths below ``folder``."""
        names, targets = zip(*items, strict=True) if items else ((), ())
        return cls(names, targets, lambda index, rate: read_audio(folder / names[index], rate))


@dataclass(frozen=True)
class Split:
    """One split of a data set's official protocol.

    Attributes:
        dataset: Name of the data set.
        test_fold: The fold (or speaker, or takes) held out, as given to ``--test-fold``.
        labels: Class names, by class index.
        train: Recordings that a teacher may learn from; they share no fold with ``test``.
        test: Recordings held out.
        task: A name of `frami.tasks`: what the recordings are annotated for.
        missing: One sentence on what the protocol has and this copy lacks; empty if complete.
        mixed: Of synthetic mixtures, the data set that they were mixed from and its ``test_fold``; empty of others.
    """

    dataset: str
    test_fold: str
    labels: tuple[str, ...]
    train: Recordings
    test: Recordings
    task: str = "single-label"
    missing: str = ""
    mixed_from: Mapping[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> dict[str, Any]:
        """What is to be kept of whoever learns from it, for `held_out` to find."""
        named = {"dataset": self.dataset, "test_fold": self.test_fold}
        return {**named, "mixed": dict(self.mixed_from)} if self.mixed_from else named

    @property
    def fingerprint(self) -> str:
        """8 hex digits of what there is to learn from: labels, and the clips' names and annotations."""
        train = self.train
        annotated = self.labels, train.names, np.asarray(train.targets).tolist(), train.events
        return hashlib.sha256(repr(annotated).encode()).hexdigest()[:8]


def find_audio_file(folder: Path, stem: str) -> str | None:
    """Return the name below ``folder`` of the audio file ``stem`` (a path without suffix), None if it is not there."""
    for suffix in SUFFIXES:
        if (folder / (stem + suffix)).is_file():
            return stem + suffix
    return None
