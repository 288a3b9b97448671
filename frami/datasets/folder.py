"""Your own recordings: one folder for each class, or a table (csv) of files and labels.

In a folder for each class, every file in it has that class. If the folders are named ``train``,
``validation`` and ``test``, or ``fold1``, ``fold2``, ..., they are folds, and the folders in them
are the classes.

A table has the columns ``file`` and ``label``; several labels in a cell, separated by ``;``, make
tags. It may also have ``fold``, ``group`` (such as the speaker, source or session), and ``onset``
and ``offset`` (s) of an event in each row.

If there is a fold ``train``, it is the training set of all others. Without folds, the clips are
divided into five, and clips of one group stay in one fold. Files with the same samples count as one
group.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from frami.core.files import resolve
from frami.core.text import count, itemize, preview, to_text
from frami.data.contents import estimate_format
from frami.data.folds import check_fold
from frami.data.recordings import FileReader, Recordings, Split
from frami.data.spellings import NO_VALUES, find_joined, show_alike
from frami.data.user_clips import TRAIN
from frami.data.user_folds import DividedClips, divide_clips, tags_of

# For a folder that was not read; a split has the format of its own clips.
SECONDS = 10.0
SAMPLE_RATE = 16000
FOLDER = ""
ANY_FOLDER = True


def test_folds(folder: Path) -> list[str]:
    """Return the user's folds without ``train``, or ``1`` to ``5`` if there are none."""
    return divide_clips(folder).folds


def split(folder: Path, fold: str) -> Split:
    """Return the split that tests on one fold, and trains on ``train`` or on all other folds."""
    divided = divide_clips(folder)
    name = f"folder:{to_text(resolve(folder).name)}"
    check_fold(name, fold, divided.folds)
    folds = [clip.fold for clip in divided.user.clips]
    fixed = TRAIN in folds
    test = [index for index, own in enumerate(folds) if own == fold]
    others = [i for i, own in enumerate(folds) if (own == TRAIN if fixed else own != fold)]
    recordings = _recordings(folder, divided)
    tested = set(recordings.subset(test).ids)
    train = [index for index in others if recordings.ids[index] not in tested]
    notes = [
        divided.note,
        _describe_copies(len(others) - len(train)),
        _describe_untrained(divided, train, test),
        _describe_alike(divided.labels),
        _describe_unusable(divided),  # last: it may end in a list
    ]
    return Split(
        name,
        fold,
        divided.labels,
        recordings.subset(train),
        recordings.subset(test),
        task=divided.user.task,
        missing=" ".join(filter(None, notes)),
        unlisted=divided.user.unlisted,
        unusable=divided.user.unusable,
        clip_format=estimate_format(divided.contents),
    )


def _recordings(folder: Path, divided: DividedClips) -> Recordings:
    """Return all clips, with the annotations of their task."""
    clips, labels, task = divided.user.clips, divided.labels, divided.user.task
    names = tuple(clip.name for clip in clips)
    index = {label: position for position, label in enumerate(labels)}
    targets: tuple[int, ...] | np.ndarray = tags_of(clips, labels)
    if task == "single-label":
        targets = tuple(index[clip.labels[0]] for clip in clips)
    events = tuple(
        None
        if clip.events is None
        else tuple((event.onset, event.offset, index[event.label]) for event in clip.events)
        for clip in clips
    )

    read = FileReader(tuple(folder / name for name in names))
    ids = tuple(found.clip_id for found in divided.contents)
    return Recordings(names, targets, read, events if task == "sound-events" else None, ids)


def _describe_unusable(divided: DividedClips) -> str:
    sentences = divided.user.unusable
    if not sentences:
        return ""
    return (
        f"{len(sentences)} of {len(sentences) + len(divided.contents)} clips cannot be used and "
        f"were left out:{itemize(sentences)}"
    )


def _describe_copies(number: int) -> str:
    if not number:
        return ""
    return f"Left out as copies of test clips: {count(number, 'training clip')}."


def _describe_alike(labels: Sequence[str]) -> str:
    """Return sentences on classes that may be one or none, and on labels that may be several."""
    notes = []
    if alike := show_alike(labels):
        notes.append(
            f"Classes with nearly the same name: {alike}; correct it if they are one class."
        )
    if missing := [label for label in labels if label in NO_VALUES]:
        notes.append(
            f"A class is named {missing[0]!r}, which programs write for a missing value; leave its "
            f"clips out if they have no class."
        )
    if joined := find_joined(labels):
        notes.append(
            f"Labels such as {joined!r} count as one class each; separate several labels of a clip "
            f"by a semicolon."
        )
    return " ".join(notes)


def _describe_untrained(divided: DividedClips, train: Sequence[int], test: Sequence[int]) -> str:
    """Return a sentence on the classes of test clips that no training clip has."""
    trained, tested = (
        {label for index in side for label in divided.user.clips[index].labels}
        for side in (train, test)
    )
    untrained = sorted(tested - trained)
    return f"No training clip has the class {preview(untrained)}." if untrained else ""
