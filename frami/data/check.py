"""List everything that is wrong with a folder of recordings: its tables, its files, and both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from frami.core.errors import FramiError, UsageError
from frami.core.progress import ProgressCallback, begin_stage, silent
from frami.data.contents import Contents, check_files, walk_audio
from frami.data.faults import Faults, faults_of
from frami.data.recordings import DatasetModule, FileReader, Recordings, Split, load_dataset
from frami.data.splits import check_split, find_data_folder


@dataclass(frozen=True)
class DataCheck:
    """What was found in a folder.

    Attributes:
        folder: The folder.
        n_files: Number of audio files that were read.
        folds: The folds that can be held out.
        faults: Sentences on what is wrong, by kind.
        notes: Sentences on what is worth knowing.
    """

    folder: Path
    n_files: int
    folds: tuple[str, ...]
    faults: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()

    @property
    def n_faults(self) -> int:
        """The number of faults of all kinds."""
        return sum(map(len, self.faults.values()))


def check_data(
    data: str | Path | None, dataset: str = "folder", *, report: ProgressCallback = silent
) -> DataCheck:
    """Return everything that is wrong with the folder of a data set.

    Args:
        data: The data set's folder, or a folder that holds it; None is ``FRAMI_DATA``.
        dataset: Name of the data set. ``folder`` is the user's own recordings.
        report: Its stages are shown.

    Raises:
        UsageError: There is no such data set or folder.
    """
    module = load_dataset(dataset)
    if not (module.FOLDER or module.ANY_FOLDER):
        raise UsageError(f"The clips of {dataset} are generated; there is no folder to check.")
    folder = find_data_folder(dataset, data)
    names = list(walk_audio(folder))
    contents = check_files(folder, names, begin_stage(report, "reading recordings", len(names)))
    found = _Found()
    for each in contents.values():
        if each.problem:
            found.unusable.add(each.problem)
    folds = _find_folds(module, folder, dataset, found)
    stage = begin_stage(report, "checking folds", len(folds))
    for done, fold in enumerate(folds, start=1):
        _check_fold(module, folder, fold, contents, found)
        stage(done)
    return DataCheck(folder, len(names), folds, found.by_kind(), found.notes.found)


class _Found:
    """The faults of each kind."""

    def __init__(self) -> None:
        self.tables, self.unusable, self.missing, self.copies = (Faults() for _ in range(4))
        self.notes = Faults()

    def by_kind(self) -> dict[str, tuple[str, ...]]:
        kinds = {
            "tables": self.tables,
            "recordings that cannot be used": self.unusable,
            "missing or not listed": self.missing,
            "copies": self.copies,
        }
        return {kind: each.found for kind, each in kinds.items() if each.found}


def _find_folds(
    module: DatasetModule, folder: Path, dataset: str, found: _Found
) -> tuple[str, ...]:
    """Return the folds that can be held out; there are none if the tables are wrong."""
    try:
        folds = tuple(module.test_folds(folder))
    except FramiError as error:
        _add(found.tables, error)
        return ()
    if not folds:
        found.tables.add(f"{folder} has no table of {dataset} from which a fold can be held out.")
    return folds


def _check_fold(
    module: DatasetModule,
    folder: Path,
    fold: str,
    contents: Mapping[str, Contents],
    found: _Found,
) -> None:
    """Add the faults of the split that holds out one fold."""
    try:
        split = module.split(folder, fold)
        check_split(split)
    except FramiError as error:
        _add(found.tables, error)
        return
    for sentence in split.unusable:
        found.unusable.add(sentence)
    if split.unlisted:
        found.missing.add(split.unlisted)
    if split.missing and not module.ANY_FOLDER:
        found.missing.add(split.missing)
    elif split.missing and not split.unusable:  # how the clips were divided
        found.notes.add(split.missing)
    for sentence in _shared_contents(folder, split, contents):
        found.copies.add(sentence)


def _add(faults: Faults, error: FramiError) -> None:
    for sentence in faults_of(error):
        faults.add(sentence)


def _shared_contents(folder: Path, split: Split, contents: Mapping[str, Contents]) -> Iterator[str]:
    """Yield sentences on files with the same samples on both sides, or of different classes."""
    sides: list[dict[str, tuple[str, str]]] = []
    for side in (split.train, split.test):
        found: dict[str, tuple[str, str]] = {}
        for clip_id, name, label in _identified(folder, side, split, contents):
            first = found.setdefault(clip_id, (name, label))
            if first[1] != label:
                yield (
                    f"{first[0]} and {name} have the same samples, but different classes: "
                    f"{first[1]} and {label}."
                )
        sides.append(found)
    train, test = sides
    for clip_id in train.keys() & test.keys():
        yield (
            f"{train[clip_id][0]} and {test[clip_id][0]} have the same samples; with fold "
            f"{split.test_fold} held out, one is in training and the other in test."
        )


def _identified(
    folder: Path, side: Recordings, split: Split, contents: Mapping[str, Contents]
) -> Iterator[tuple[str, str, str]]:
    """Yield the identifier of the contents, the name and the label of each clip."""
    if not isinstance(side.read, FileReader):
        return
    targets = np.asarray(side.targets)
    for path, target in zip(side.read.paths, targets, strict=True):
        name = path.relative_to(folder).as_posix()
        label = split.labels[target] if targets.ndim == 1 else ""
        if name in contents and contents[name].clip_id:
            yield contents[name].clip_id, name, label
