"""What the sets of real recordings share: the protocol's clips, which of them are there, a fold held out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from frami.core.errors import UsageError
from frami.data import tables
from frami.data.recordings import SUFFIXES, Recordings, Split, find_audio_file


@dataclass(frozen=True)
class ListedClip:
    """One clip of a data set's official protocol, there or not.

    Attributes:
        stem: Its path below the data set's folder, without the suffix.
        target: Its class index.
        fold: The fold that it belongs to.
        part: What ``Split.missing`` counts it under, such as a speaker; the fold if empty.
    """

    stem: str
    target: int
    fold: str
    part: str = ""


def read_protocol(
    dataset: str, folder: Path, table: str, columns: tuple[str, ...], target: str
) -> list[dict[str, str]]:
    """Return the rows of the data set's csv file ``table`` (a path below ``folder``); ``target`` is a class index in each.

    Raises:
        WrongUse: there is no such file, it lacks one of ``columns``, or a target is no number.
    """
    absent = (
        f"{folder} is not a folder of {dataset}: there is no {table} in it; "
        f"name another with --data, or download it: frami data get {dataset} --out DIR."
    )
    found = tables.read_numbered_rows(folder / table, columns, absent=absent)
    for line, row in found:
        row[target] = str(int(tables.parse_number(row[target], target, folder / table, line)))
    return [row for _, row in found]


def available_folds(dataset: str, folder: Path, clips: list[ListedClip]) -> list[str]:
    """Return the folds of which at least one clip is there, in the protocol's order."""
    return list(dict.fromkeys(clip.fold for clip, _ in _available_clips(dataset, folder, clips)))


def hold_out_fold(
    dataset: str,
    folder: Path,
    clips: list[ListedClip],
    labels: tuple[str, ...],
    fold: str,
    *,
    parts: str = "folds",
) -> Split:
    """Return the split that tests on one fold and trains on all the others, as far as they are there.

    Args:
        dataset: Name of the data set.
        folder: Its folder.
        clips: All clips of the official protocol, folds in order.
        labels: Class names, by class index.
        fold: What to hold out.
        parts: What the clips' ``part`` is, in the plural, for ``Split.missing``.

    Raises:
        WrongUse: no clip is there at all, or none of this fold.
    """
    there = _available_clips(dataset, folder, clips)
    test = [(name, clip.target) for clip, name in there if clip.fold == fold]
    if not test:
        raise missing_fold_error(
            dataset, folder, fold, list(dict.fromkeys(clip.fold for clip, _ in there))
        )
    train = [(name, clip.target) for clip, name in there if clip.fold != fold]
    return Split(
        dataset=dataset,
        test_fold=fold,
        labels=labels,
        train=Recordings.from_files(folder, train),
        test=Recordings.from_files(folder, test),
        missing=_describe_missing(clips, [clip for clip, _ in there], parts),
    )


def missing_fold_error(dataset: str, folder: Path, fold: str, there: list[str]) -> UsageError:
    """Return the error for a fold of which no clip is there."""
    return UsageError(
        f"{dataset} in {folder} has no fold {fold!r} to test on; it has: {', '.join(there)}."
    )


def _available_clips(
    dataset: str, folder: Path, clips: list[ListedClip]
) -> list[tuple[ListedClip, str]]:
    """Return the clips that are there, each with its name below ``folder``."""
    found = [(clip, find_audio_file(folder, clip.stem)) for clip in clips]
    there = [(clip, name) for clip, name in found if name is not None]
    if not there:
        example = f" (such as {clips[0].stem}, as {', '.join(SUFFIXES)})" if clips else ""
        raise UsageError(
            f"{folder} holds none of the {len(clips)} clips of {dataset}{example}; "
            f"name another with --data, or download it: frami data get {dataset} --out DIR."
        )
    return there


def _describe_missing(clips: list[ListedClip], there: list[ListedClip], parts: str) -> str:
    """Return one sentence on the clips that are not there; empty if all are."""
    lacking = Counter(clip.part or clip.fold for clip in clips)
    wanted = dict(lacking)
    lacking.subtract(clip.part or clip.fold for clip in there)
    absent = [part for part, count in lacking.items() if count == wanted[part]]
    incomplete = [part for part, count in lacking.items() if 0 < count < wanted[part]]
    states = {"absent": absent, "incomplete": incomplete}
    said = "; ".join(f"{state}: {', '.join(names)}" for state, names in states.items() if names)
    if not said:
        return ""
    return f"{len(clips) - len(there)} of {len(clips)} clips are not in this copy ({parts} {said})."
