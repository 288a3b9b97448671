"""The two sides of an audit: members, which the teacher was trained on, and others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from frami.auditing.groups import groups_of
from frami.core.errors import UsageError
from frami.core.files import expand
from frami.core.text import count, preview
from frami.data.leakage import leakage_warning
from frami.data.listing import find_table
from frami.data.recordings import FileReader, Recordings
from frami.data.splits import align_labels, find_data_folder, load_split, split_for_task
from frami.data.user_clips import UserClips
from frami.data.user_folds import read_user_clips, tags_of
from frami.models.model import Model

MEMBERS, OTHERS = "members", "others"


@dataclass(frozen=True)
class Side:
    """The recordings of one side.

    Attributes:
        recordings: The recordings, with targets in the order of the teacher's labels.
        groups: Name of the speaker or source of each clip; empty where it is not known.
        place: Path or name to put before the names of clips in messages.
    """

    recordings: Recordings
    groups: tuple[str, ...]
    place: str


@dataclass(frozen=True)
class Sides:
    """Members and others.

    Attributes:
        members: The clips that the teacher was trained on.
        others: Clips that it was not trained on.
        shared_groups: Whether groups on both sides are left out; otherwise they are refused.
        notes: Sentences on the recordings.
    """

    members: Side
    others: Side
    shared_groups: bool
    notes: tuple[str, ...]


def find_sides(
    teacher: Model,
    members: str | Path | None,
    others: str | Path | None,
    dataset: str | None,
    data: str | Path | None,
    test_fold: str | int | None,
) -> Sides:
    """Return the sides, from two folders or from the folds of a data set.

    Raises:
        UsageError: Neither or both are given, or a folder has another layout or other classes.
    """
    by_folds = dataset is not None
    if by_folds == (members is not None or others is not None):
        raise UsageError(
            "Give `members` and `others`, two folders of recordings, or `dataset` with `test_fold`."
        )
    if dataset is not None:
        if test_fold is None:
            raise UsageError(
                "`test_fold` is required with `dataset`: the fold that the teacher's training "
                "held out. Its clips are the others."
            )
        return _from_dataset(teacher, dataset, data, str(test_fold))
    if members is None or others is None:
        missing = "members" if members is None else "others"
        raise UsageError(f"`{missing}` is required as well: a folder of recordings.")
    sides = [_from_folder(teacher, expand(path)) for path in (members, others)]
    notes = [note for _, notes in sides for note in notes]
    return Sides(sides[0][0], sides[1][0], False, tuple(notes))


def clip_task(teacher: Model) -> str:
    """Return the task of whole clips: events are audited as tags."""
    return "single-label" if teacher.task == "single-label" else "multi-label"


def _from_dataset(teacher: Model, dataset: str, data: str | Path | None, fold: str) -> Sides:
    split = load_split(dataset, data, test_fold=fold)
    if warning := leakage_warning(teacher.provenance, split):
        raise UsageError(f"{warning} Pass the fold that was held out as `test_fold`.")
    split = align_labels(split_for_task(split, clip_task(teacher)), teacher.labels)
    groups = _table_groups(expand(data)) if dataset == "folder" and data else {}
    sides = []
    for recordings in (split.train.labeled(), split.test.labeled()):
        if groups:
            names = [groups[name] for name in recordings.names]
        else:
            names = groups_of(dataset, fold, recordings.names)
        sides.append(Side(recordings, tuple(names), f"{split.dataset}/"))
    is_listed = any(groups.values())
    return Sides(sides[0], sides[1], not is_listed, (split.missing,) if split.missing else ())


def _table_groups(folder: Path) -> dict[str, str]:
    """Return the group of each clip of a user's folder, by name."""
    user = read_user_clips(find_data_folder("folder", folder))
    return {clip.name: clip.group for clip in user.clips}


def _from_folder(teacher: Model, folder: Path) -> tuple[Side, list[str]]:
    """Return the clips of a folder for each class, or of a table, and sentences on them."""
    if not folder.is_dir():
        raise UsageError(f"There is no folder {str(folder)!r}. Name a folder of recordings.")
    user = read_user_clips(folder)
    _check_classes(teacher, folder, user)
    names = tuple(clip.name for clip in user.clips)
    targets: tuple[int, ...] | np.ndarray = tags_of(user.clips, teacher.labels)
    if clip_task(teacher) == "single-label":
        index = {label: position for position, label in enumerate(teacher.labels)}
        targets = tuple(index[clip.labels[0]] for clip in user.clips)
    recordings = Recordings(names, targets, FileReader(tuple(folder / name for name in names)))
    groups = tuple(clip.group for clip in user.clips)
    return Side(recordings, groups, f"{folder}/"), [*filter(None, [user.unlisted]), *user.unusable]


def _check_classes(teacher: Model, folder: Path, user: UserClips) -> None:
    """Refuse a class without clips, a class that the teacher lacks, and another task."""
    if find_table(folder) is None:
        used = {label for clip in user.clips for label in clip.labels}
        empty = [
            path.name
            for path in sorted(folder.iterdir())
            if path.is_dir() and path.name in teacher.labels and path.name not in used
        ]
        if empty:
            raise UsageError(
                f"{folder / empty[0]} has no audio files. Add recordings of the class "
                f"{empty[0]!r}, or remove the folder."
            )
    unknown = sorted({label for clip in user.clips for label in clip.labels} - {*teacher.labels})
    if unknown:
        raise UsageError(
            f"{folder} has {count(len(unknown), 'class')} that the teacher does not have "
            f"({preview(unknown)}). Its classes are: {preview(teacher.labels)}."
        )
    if clip_task(teacher) == "single-label" and user.task != "single-label":
        raise UsageError(
            f"{folder} is annotated for the task {user.task}, but the teacher's task is "
            f"single-label: each clip needs one label."
        )
