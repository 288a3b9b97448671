"""Recordings and the splits of a data set's protocol."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from frami.audio import frontend as audio
from frami.core import registry as catalog
from frami.core.errors import WrongUse
from frami.models import tasks

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

    def labelled(self) -> Recordings:
        """Return the clips that have labels."""
        unknown = np.isnan(np.asarray(self.targets, dtype=np.float32))
        known = ~unknown.any(axis=1) if unknown.ndim > 1 else ~unknown
        return self if known.all() else self.some(np.flatnonzero(known).tolist())

    def waveforms(self, sample_rate: int) -> Iterator[Tensor]:
        """Yield every clip as a mono waveform ``(T,)`` at ``sample_rate`` (Hz)."""
        return (self.read(index, sample_rate) for index in range(len(self)))

    def some(self, chosen: Sequence[int]) -> Recordings:
        """Return the clips of these numbers."""
        targets = np.asarray(self.targets)[list(chosen)]
        kept = tuple(targets.tolist()) if targets.ndim == 1 else targets
        events = None if self.events is None else tuple(self.events[number] for number in chosen)
        names = tuple(self.names[number] for number in chosen)
        return Recordings(names, kept, lambda index, rate: self.read(chosen[index], rate), events)

    @classmethod
    def of_files(cls, folder: Path, items: list[tuple[str, int]]) -> Recordings:
        """Return the recordings of ``(name, target)`` pairs; names are paths below ``folder``."""
        names, targets = zip(*items, strict=True) if items else ((), ())
        return cls(names, targets, lambda index, rate: audio.read(folder / names[index], rate))


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
    mixed: Mapping[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> dict[str, Any]:
        """What is to be kept of whoever learns from it, for `held_out` to find."""
        named = {"dataset": self.dataset, "test_fold": self.test_fold}
        return {**named, "mixed": dict(self.mixed)} if self.mixed else named

    @property
    def fingerprint(self) -> str:
        """8 hex digits of what there is to learn from: labels, and the clips' names and annotations."""
        train = self.train
        annotated = self.labels, train.names, np.asarray(train.targets).tolist(), train.events
        return hashlib.sha256(repr(annotated).encode()).hexdigest()[:8]


def for_task(found: Split, task: str | None) -> Split:
    """Return a split for a task; None leaves its own. Clips with events have tags as well, but not the other way.

    Raises:
        WrongUse: the recordings are not annotated for that.
    """
    task = tasks.find(task or found.task).name
    sides = (found.train, found.test)
    if task == "frames" and found.task == "frames":
        # Clips whose events have no times can be learned from, but not scored.
        timed = [number for number, events in enumerate(found.test.events or ()) if events is not None]
        train, test = found.train, found.test.some(timed)
    elif task == "multi-label" and found.task == "frames":
        train, test = (replace(side, events=None) for side in sides)
    elif task == found.task:
        return found
    else:
        allowed = "frames or multi-label" if found.task == "frames" else found.task
        raise WrongUse(
            f"{found.dataset} is annotated for the task {found.task}, not for {task}; allowed of it is {allowed}, or name "
            f"another data set."
        )
    return replace(found, train=train, test=test, task=task)


def check_enough(found: Split) -> None:
    """Refuse a split with fewer than two clips to learn from: one clip alone has no batch statistics."""
    if len(found.train) < 2:
        raise WrongUse(
            f"Without fold {found.test_fold}, this copy of {found.dataset} has {len(found.train)} clips to learn from; "
            f"2 or more are needed. {found.missing}".rstrip()
        )


def audited(found: Split, labels: Sequence[str]) -> Split:
    """Return a split to measure a model on that knows some classes; recordings of others are refused.

    A table of events tells classes by what occurs. Where what is held out is all that has labels, not each of them need occur.
    """
    side, targets = found.test, np.asarray(found.test.targets)
    if len(found.train.labelled()) or targets.ndim == 1 or not set(found.labels) <= set(labels):
        check_labels(labels, found)
        return found
    place = [list(labels).index(label) for label in found.labels]
    tags = np.zeros((len(side), len(labels)), dtype=np.float32)
    tags[:, place] = targets
    events = (
        None
        if side.events is None
        else tuple(
            None if timed is None else tuple((on, off, place[index]) for on, off, index in timed)
            for timed in side.events
        )
    )
    return replace(found, labels=tuple(labels), test=replace(side, targets=tags, events=events))


def check_labels(known: Sequence[str], found: Split) -> None:
    """Refuse recordings of other classes than a model knows; what differs is named."""
    strange = [label for label in found.labels if label not in known]
    absent = [label for label in known if label not in found.labels]
    named = first(strange or absent)
    if strange:
        said = f"The recordings of {found.dataset} have classes that the model does not know ({named})"
    elif absent:
        said = f"The model knows classes that {found.dataset} does not have ({named})"
    elif tuple(known) != found.labels:
        said = f"The model knows the classes of {found.dataset} in another order"
    else:
        return
    raise WrongUse(f"{said}; name the model's own data set.")


def held_out(provenance: Any) -> list[dict[str, str]]:
    """Return the data sets that a model, its store and its teachers come from, each with the fold held out, where it is known."""
    if isinstance(provenance, list):
        return [known for one in provenance for known in held_out(one)]
    if not isinstance(provenance, Mapping):
        return []
    named = {name: str(provenance[name]) for name in ("dataset", "test_fold") if name in provenance}
    return [*([named] if len(named) == 2 else []), *held_out(list(provenance.values()))]


def remark(provenance: Mapping[str, Any], found: Split) -> str:
    """Return one sentence if a model learned with another fold of these recordings held out than a split does, else nothing."""
    for known, asked in itertools.product(held_out(provenance), held_out(found.origin)):
        fold, dataset = known["test_fold"], known["dataset"]
        if fold != asked["test_fold"] and _share_clips(dataset, asked["dataset"]):
            may_know = asked["test_fold"] + ("" if dataset == asked["dataset"] else f" of {asked['dataset']}")
            return (
                f"The model learned with fold {fold} of {dataset} held out: it may know recordings of fold {may_know}."
            )
    return ""


def _share_clips(one: str, other: str) -> bool:
    """Tell whether what is trained on for a fold of one data set may be tested on for a fold of the other."""
    known = catalog.names("datasets")
    modules = [catalog.load("datasets", name) for name in (one, other) if name in known]
    if one == other:
        return not any(getattr(module, "APART", False) for module in modules)
    if {one, other} & {getattr(module, "MADE_OF", None) for module in modules}:
        return True
    return len(modules) == 2 and modules[0].FOLDER == modules[1].FOLDER != ""


def first(labels: Sequence[str]) -> str:
    """Return the first of some labels, to be named in a sentence.

    >>> first(["a", "b", "c", "d"])
    'a, b, c, ...'
    """
    return ", ".join([*labels[:3], *(["..."] if len(labels) > 3 else [])])


def find(folder: Path, stem: str) -> str | None:
    """Return the name below ``folder`` of the audio file ``stem`` (a path without suffix), None if it is not there."""
    for suffix in SUFFIXES:
        if (folder / (stem + suffix)).is_file():
            return stem + suffix
    return None


def folder_of(dataset: str, data: str | Path | None) -> Path:
    """Return the folder of ``dataset``: ``data`` (default: ``FRAMI_DATA``) itself, or the folder of that name in it."""
    module = catalog.load("datasets", dataset)
    if not module.FOLDER:
        return Path()
    data = data if data is not None else os.environ.get("FRAMI_DATA")
    if not data:
        way = f", or download them: frami data get {dataset} --out DIR" if getattr(module, "ARCHIVES", ()) else ""
        raise WrongUse(f"Where are the recordings of {dataset}? Name their folder with --data or FRAMI_DATA{way}.")
    if not Path(data).is_dir():
        raise WrongUse(
            f"There is no folder {str(data)!r}; --data names the folder of {dataset}, or one that holds {module.FOLDER}/."
        )
    named = [path for path in sorted(Path(data).iterdir()) if path.name.lower() == module.FOLDER.lower()]
    return next((path for path in named if path.is_dir()), Path(data))


def split(dataset: str, data: str | Path | None = None, *, test_fold: str | int) -> Split:
    """Return one split of a data set's official protocol.

    Args:
        dataset: Name of a module of this folder.
        data: The data set's folder, or one that holds it under its usual name; by default ``FRAMI_DATA``.
        test_fold: What is held out, in the protocol's own words: a fold's number, ``takes``, a speaker's name, ``validation``.

    Raises:
        WrongUse: there is no such data set, folder or fold, or the folder has another layout.
    """
    module = catalog.load("datasets", dataset)
    return module.split(folder_of(dataset, data), str(test_fold))
