"""Hold out one fold of a data set whose protocol lists its clips with their folds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from frami.core.errors import UsageError
from frami.data import protocol
from frami.data.audio_files import AudioIndex
from frami.data.protocol import ProtocolClip, Table
from frami.data.recordings import SUFFIXES, Recordings, Split


@dataclass(frozen=True)
class ListedClip:
    """One clip of a data set's official protocol, whether this copy has it or not.

    Attributes:
        stem: Path below the data set's folder, without the suffix.
        target: Class index.
        fold: The clip's fold.
        part: The part, such as a speaker, that ``Split.missing`` counts the clip under. The fold if
            empty.
    """

    stem: str
    target: int
    fold: str
    part: str = ""

    @property
    def counted_as(self) -> str:
        """Return the part that the clip is counted under."""
        return self.part or self.fold


def read_protocol(dataset: str, folder: Path, table: Table) -> list[ProtocolClip]:
    """Return the rows of a data set's table, checked as by `frami.data.protocol.read_protocol`.

    Raises:
        UsageError: There is no such file, it lacks a column, a cell is wrong, or rows contradict
            each other.
    """
    absent = (
        f"{folder} is not a folder of {dataset}: it has no {table.path}. {_another_folder(dataset)}"
    )
    return protocol.read_protocol(table, folder, absent)


def available_folds(dataset: str, folder: Path, clips: list[ListedClip]) -> list[str]:
    """Return the folds that have at least one clip in this copy, in the protocol's order."""
    return _folds_of(
        [clip for clip, _ in _available_clips(dataset, folder, clips, AudioIndex(folder))]
    )


def hold_out_fold(
    dataset: str,
    folder: Path,
    clips: list[ListedClip],
    labels: tuple[str, ...],
    fold: str,
    *,
    parts: str = "folds",
    listed: Sequence[str] = (),
) -> Split:
    """Return the split that tests on one fold and trains on all others in this copy.

    Args:
        dataset: Name of the data set.
        folder: Its folder.
        clips: All clips of the official protocol, folds in order.
        labels: Class names, by class index.
        fold: The fold to hold out.
        parts: What the clips' ``part`` is, in the plural, for ``Split.missing``.
        listed: Stems of other clips that the data set lists; they are not reported as unlisted.

    Raises:
        UsageError: The copy has none of the clips, or none of this fold.
    """
    index = AudioIndex(folder)
    pairs = _available_clips(dataset, folder, clips, index)
    available = [clip for clip, _ in pairs]
    test = [(name, clip.target) for clip, name in pairs if clip.fold == fold]
    if not test:
        raise missing_fold_error(dataset, folder, fold, _folds_of(available))
    train = [(name, clip.target) for clip, name in pairs if clip.fold != fold]
    return Split(
        dataset=dataset,
        test_fold=fold,
        labels=labels,
        train=Recordings.from_files(folder, train),
        test=Recordings.from_files(folder, test),
        missing=_describe_missing(clips, available, parts),
        unlisted=index.describe_unlisted([*listed, *(clip.stem for clip in clips)], dataset),
    )


def check_fold(dataset: str, fold: str, allowed: Sequence[str]) -> None:
    """Raise `UsageError` if a fold is not one of the official folds of a data set."""
    if fold not in allowed:
        raise UsageError(f"{dataset} has no fold {fold!r}. Its folds are: {', '.join(allowed)}.")


def missing_fold_error(dataset: str, folder: Path, fold: str, available: list[str]) -> UsageError:
    """Return the error for a fold without any clip in this copy."""
    return UsageError(
        f"{dataset} in {folder} has no fold {fold!r}. Its folds are: {', '.join(available)}."
    )


def _another_folder(dataset: str) -> str:
    return (
        f"Pass another folder as `data`, or download the data set: "
        f"frami data get {dataset} --out DIR"
    )


def _folds_of(clips: list[ListedClip]) -> list[str]:
    return list(dict.fromkeys(clip.fold for clip in clips))


def _available_clips(
    dataset: str, folder: Path, clips: list[ListedClip], index: AudioIndex
) -> list[tuple[ListedClip, str]]:
    """Return the clips that this copy has, each with its name below ``folder``."""
    candidates = [(clip, index.find(clip.stem)) for clip in clips]
    available = [(clip, name) for clip, name in candidates if name is not None]
    if not available:
        example = f" (such as {clips[0].stem}, as {', '.join(SUFFIXES)})" if clips else ""
        raise UsageError(f"{folder} has no clip of {dataset}{example}. {_another_folder(dataset)}")
    return available


def _describe_missing(clips: list[ListedClip], available: list[ListedClip], parts: str) -> str:
    """Return one sentence on the clips that this copy lacks; empty if it is complete."""
    total = Counter(clip.counted_as for clip in clips)
    lacking = total - Counter(clip.counted_as for clip in available)
    if not lacking:
        return ""
    states = {
        "absent": [part for part in lacking if lacking[part] == total[part]],
        "incomplete": [part for part in lacking if lacking[part] < total[part]],
    }
    details = "; ".join(f"{state}: {', '.join(names)}" for state, names in states.items() if names)
    missing = f"{len(clips) - len(available)} of {len(clips)}"
    return f"{missing} clips are not in this copy ({parts} {details})."
