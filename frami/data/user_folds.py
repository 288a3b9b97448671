"""Divide the clips of a user's own folder into folds: the user's, or five of equal size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from frami.core.errors import OperationError, UsageError
from frami.core.text import count, itemize, preview
from frami.data.annotations import check_events_within_clips
from frami.data.contents import Contents, check_files, same_contents
from frami.data.grouping import assign_folds, connected_groups
from frami.data.listing import find_table, read_listing
from frami.data.spellings import find_alike, show_alike, spelling_key
from frami.data.tables import is_position
from frami.data.tags import tag_rows
from frami.data.user_clips import (
    TEST,
    TRAIN,
    UserClip,
    UserClips,
    read_class_folders,
    read_listed_clips,
)

N_FOLDS = 5


@dataclass(frozen=True)
class DividedClips:
    """The usable clips of a folder, with their folds.

    Attributes:
        user: The clips; each has a fold.
        contents: The contents of each clip, in the same order.
        labels: All labels, sorted.
        note: One sentence on how the clips were divided.
    """

    user: UserClips
    contents: tuple[Contents, ...]
    labels: tuple[str, ...]
    note: str

    @property
    def folds(self) -> list[str]:
        """The folds that can be held out: numbers in their order, and ``test`` last."""
        folds = {clip.fold for clip in self.user.clips} - {TRAIN}
        return sorted(folds, key=lambda fold: (fold == TEST, *_natural(fold)))


def read_user_clips(folder: Path) -> UserClips:
    """Return the clips of a user's folder, whether their files can be used or not."""
    table = find_table(folder)
    return read_listed_clips(folder, read_listing(table)) if table else read_class_folders(folder)


def divide_clips(folder: Path) -> DividedClips:
    """Return the usable clips of a user's folder, with their folds.

    Raises:
        UsageError: The folder or its table has another layout, or contradicts itself.
        OperationError: None of the clips can be used.
    """
    user = read_user_clips(folder)
    contents = check_files(folder, [clip.name for clip in user.clips])
    user = _drop_unusable(user, contents)
    if user.task == "sound-events":
        check_events_within_clips(folder, {c.name: list(c.events or ()) for c in user.clips})
    labels = _class_names(folder, user)
    if any(clip.fold for clip in user.clips):
        note = _check_user_folds(folder, user)
    else:
        user, note = _divide_by_group(folder, user, contents, labels)
    return DividedClips(user, tuple(contents[clip.name] for clip in user.clips), labels, note)


def tags_of(clips: tuple[UserClip, ...], labels: tuple[str, ...]) -> np.ndarray:
    """Return 1 where a clip has a label, else 0, ``(S, K)`` float32."""
    return tag_rows([clip.labels for clip in clips], labels)


def _drop_unusable(user: UserClips, contents: Mapping[str, Contents]) -> UserClips:
    """Leave out files that cannot be used, and equal files with different labels."""
    problems = {name: found.problem for name, found in contents.items() if found.problem}
    usable = {name: found for name, found in contents.items() if not found.problem}
    labels = {clip.name: set(clip.labels) for clip in user.clips}
    events = {clip.name: clip.events for clip in user.clips}
    for names in same_contents(usable):
        for role, values in (("labels", labels), ("events", events)):
            other = next((name for name in names if values[name] != values[names[0]]), None)
            if other is not None:
                sentence = f"{names[0]} and {other} have the same samples, but different {role}."
                problems |= dict.fromkeys(names, sentence)
                break
    clips = tuple(clip for clip in user.clips if clip.name not in problems)
    if not clips:
        raise OperationError(
            f"None of the {count(len(problems), 'clip')} can be used:"
            f"{itemize(list(problems.values()))}"
        )
    return replace(user, clips=clips, unusable=(*user.unusable, *problems.values()))


def _class_names(folder: Path, user: UserClips) -> tuple[str, ...]:
    labels = sorted({label for clip in user.clips for label in clip.labels}, key=_natural)
    needed = 2 if user.task == "single-label" else 1
    if len(labels) < needed:
        raise UsageError(
            f"{folder} has {count(len(labels), 'class')} ({preview(labels) or 'none'}); at least "
            f"{needed} are needed. The folders in it, or the labels in its table, name the classes."
        )
    return tuple(labels)


def _natural(name: str) -> tuple[int, str]:
    """Return a key that sorts numbers by value, before other names."""
    return (int(name) if is_position(name) else 10**9, name)


def _check_user_folds(folder: Path, user: UserClips) -> str:
    """Return a note on the user's folds; raise if a clip has none, or a group has several."""
    without = [clip.name for clip in user.clips if not clip.fold]
    if without:
        raise UsageError(
            f"Some clips in {folder} have no fold ({preview(without)}; {len(without)} in all), but "
            f"others have. Add their folds, or remove all folds."
        )
    folds = sorted({clip.fold for clip in user.clips}, key=_natural)
    if len(folds) < 2:
        raise UsageError(
            f"All clips in {folder} are in the fold {folds[0]!r}. Add another fold to test on, or "
            f"remove the folds: the clips are then divided into {N_FOLDS}."
        )
    if alike := find_alike(folds):
        raise UsageError(
            f"{folder} has the folds {alike[0][0]!r} and {alike[0][1]!r}, which may be one: write "
            f"them alike, or rename one."
        )
    folds_of: dict[str, set[str]] = defaultdict(set)
    names: dict[str, str] = {}
    for clip in user.clips:
        if clip.group:
            group = names.setdefault(spelling_key(clip.group), clip.group)
            folds_of[group].add(clip.fold)
    divided = [group for group, own in folds_of.items() if len(own) > 1]
    if divided and user.group_column.lower() == "group":
        raise UsageError(
            f"{folder} has {count(len(divided), 'group')} in several folds: {divided[0]!r} is in "
            f"{' and '.join(sorted(folds_of[divided[0]]))}. Put each group into one fold."
        )
    notes = [_describe_groups(user)]
    if divided:
        notes.append(
            f"The folds divide {len(divided)} of {len(folds_of)} groups of the column "
            f"{user.group_column}: recordings of one group are in training and in test."
        )
    return " ".join(filter(None, notes))


def _divide_by_group(
    folder: Path, user: UserClips, contents: Mapping[str, Contents], labels: tuple[str, ...]
) -> tuple[UserClips, str]:
    """Return the clips in folds that divide no group, and a note on how."""
    ids = [contents[clip.name].clip_id for clip in user.clips]
    keys = [
        [("contents", one), *([("group", spelling_key(clip.group))] if clip.group else [])]
        for clip, one in zip(user.clips, ids, strict=True)
    ]
    groups = connected_groups(keys)
    n_groups = max(groups) + 1
    n_folds = min(N_FOLDS, n_groups)
    if n_folds < 2:
        raise UsageError(
            f"All clips in {folder} are of one group, so none can be held out. Use a table with a "
            f"column fold, or other groups."
        )
    folds = assign_folds(groups, ids, tags_of(user.clips, labels), n_folds)
    clips = tuple(
        replace(clip, fold=str(fold + 1)) for clip, fold in zip(user.clips, folds, strict=True)
    )
    if any(clip.group for clip in user.clips):
        note = (
            f"The clips were divided into {count(n_folds, 'fold')} by the column "
            f"{user.group_column} ({count(n_groups, 'group')})."
        )
    else:
        note = (
            f"The clips were divided into {count(n_folds, 'fold')} file by file, because there are "
            "no folds and no groups: recordings of one source may be in training and in test."
        )
    return replace(user, clips=clips), " ".join(filter(None, [note, _describe_groups(user)]))


def _describe_groups(user: UserClips) -> str:
    """Return sentences on clips without a group, and on groups that count as one."""
    groups = list(dict.fromkeys(clip.group for clip in user.clips if clip.group))
    without = sum(not clip.group for clip in user.clips)
    notes = []
    if groups and without:
        notes.append(
            f"{without} of {count(len(user.clips), 'clip')} have an empty cell in the column "
            f"{user.group_column}; each counts as a group of its own."
        )
    if alike := show_alike(groups):
        notes.append(
            f"Groups of the column {user.group_column} with nearly the same name count as one: "
            f"{alike}."
        )
    return " ".join(notes)
