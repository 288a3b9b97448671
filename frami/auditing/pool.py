"""The pool of an audit: spectrograms and groups of members and others, checked and in memory.

Nothing here is written to the cache folder: the recordings are private.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frami.audio.frontend import FrontEnd
from frami.auditing.attacks import Flags
from frami.auditing.sides import MEMBERS, OTHERS, Side, Sides
from frami.core.errors import FramiError, OperationError, UsageError
from frami.core.progress import ProgressCallback, begin_stage, silent
from frami.core.text import count, itemize, preview
from frami.data.clips import Spectrograms
from frami.data.grouping import connected_groups
from frami.models.model import Model

Read = Callable[[int, int], Tensor]


@dataclass(frozen=True)
class Pool:
    """Members and others, in this order.

    Attributes:
        names: Name of each clip, with its folder.
        clips: Their spectrograms with the teacher's front end.
        is_member: Whether a clip is a member, ``(S,)``.
        groups: Number of each clip's group, ``(S,)``: clips of one group share a speaker, a source
            or their samples.
        named_groups: Number of groups of more than one clip.
        read: Function of a clip's index and a sample rate (Hz); it returns the waveform.
        fingerprint: 16 hex digits of contents, labels and sides.
        notes: Sentences on the recordings.
    """

    names: tuple[str, ...]
    clips: Spectrograms
    is_member: Flags
    groups: NDArray[np.int64]
    named_groups: int
    read: Read
    fingerprint: str
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def n_members(self) -> int:
        """Number of members."""
        return int(self.is_member.sum())

    @property
    def n_others(self) -> int:
        """Number of others."""
        return len(self) - self.n_members

    def groups_on(self, member: bool) -> int:
        """Return the number of groups of one side."""
        return len(np.unique(self.groups[self.is_member == member]))


@dataclass(frozen=True)
class _Clip:
    """What is kept of a recording."""

    index: int
    clip_id: str
    mel: Tensor
    seconds: float


def load_pool(
    sides: Sides, teacher: Model, *, strict: bool = False, report: ProgressCallback = silent
) -> Pool:
    """Read the recordings once, and return the pool.

    Raises:
        UsageError: Members and others overlap, share a group, or do not share a class.
        OperationError: A recording cannot be read, and ``strict`` is set; or none can be read.
    """
    both = (sides.members, sides.others)
    total = sum(len(side.recordings) for side in both)
    stage = begin_stage(report, "reading recordings", total)
    stage(0)
    problems: list[str] = []
    read: list[list[_Clip]] = []
    for number, side in enumerate(both):
        before = number * len(both[0].recordings)
        read.append(list(_read(side, teacher.front_end, problems, stage, before)))
    if problems and strict:
        raise OperationError(
            f"{count(len(problems), 'recording')} cannot be used. Leave out `strict` to audit "
            f"without:{itemize(problems)}"
        )
    for side, clips, name in zip(both, read, (MEMBERS, OTHERS), strict=True):
        if not clips:
            reason = itemize(problems) if problems else " There are none."
            raise OperationError(f"None of the {name} in {side.place} can be used:{reason}")
    _check_overlap(both, read)
    notes = [*sides.notes]
    if problems:
        notes.append(
            f"{len(problems)} of {total} recordings cannot be used and were left out:"
            f"{itemize(problems)}"
        )
    read[1], note = _separate_groups(sides, read)
    return _assemble(both, read, [*notes, *([note] if note else [])])


def _read(
    side: Side,
    front_end: FrontEnd,
    problems: list[str],
    report: ProgressCallback,
    before: int,
) -> Iterator[_Clip]:
    """Yield the clips that can be read; add a sentence for each other one to ``problems``."""
    rate = front_end.sample_rate
    for index in range(len(side.recordings)):
        try:
            waveform = side.recordings.read(index, rate)
        except FramiError as error:
            problems.append(str(error))
            continue
        finally:
            report(before + index + 1)
        digest = hashlib.sha256(waveform.numpy().tobytes()).hexdigest()[:16]
        with torch.no_grad():
            mel = front_end(waveform).half()
        yield _Clip(index, digest, mel, waveform.shape[-1] / rate)


def _name(side: Side, clip: _Clip) -> str:
    return f"{side.place}{side.recordings.names[clip.index]}"


def _check_overlap(both: Sequence[Side], read: Sequence[Sequence[_Clip]]) -> None:
    """Refuse clips with the same samples on both sides."""
    members = {clip.clip_id: clip for clip in read[0]}
    pairs = [(members[clip.clip_id], clip) for clip in read[1] if clip.clip_id in members]
    if pairs:
        names = [
            f"{_name(both[0], member)} and {_name(both[1], other)} have the same samples."
            for member, other in pairs
        ]
        raise UsageError(
            f"{count(len(pairs), 'recording')} of the others "
            f"{'is a member' if len(pairs) == 1 else 'are members'} as well; take "
            f"{'it' if len(pairs) == 1 else 'them'} out of one side:{itemize(names)}"
        )


def _separate_groups(sides: Sides, read: Sequence[Sequence[_Clip]]) -> tuple[list[_Clip], str]:
    """Return the others without the groups of members, and a note; refuse a user's own groups."""
    taken = {sides.members.groups[clip.index] for clip in read[0]} - {""}
    shared = sorted(
        {
            sides.others.groups[clip.index]
            for clip in read[1]
            if sides.others.groups[clip.index] in taken
        }
    )
    if not shared:
        return list(read[1]), ""
    if not sides.shared_groups:
        is_one = len(shared) == 1
        raise UsageError(
            f"{count(len(shared), 'group')} ({preview(shared)}) {'is' if is_one else 'are'} among "
            f"members and others. Move {'it' if is_one else 'each'} to one side; or remove the "
            f"groups from the table, to audit single clips rather than speakers."
        )
    kept = [clip for clip in read[1] if sides.others.groups[clip.index] not in taken]
    if not kept:
        raise UsageError(
            f"All others are of sources or speakers that members are of, too ({preview(shared)}). "
            f"Choose another `test_fold`."
        )
    left_out = count(len(read[1]) - len(kept), "other clip")
    return kept, f"Left out: {left_out} of sources that members are of, too ({preview(shared)})."


def _assemble(both: Sequence[Side], read: Sequence[Sequence[_Clip]], notes: Sequence[str]) -> Pool:
    pairs = [(side, clip) for side, clips in zip(both, read, strict=True) for clip in clips]
    keys: list[list[object]] = []
    for side, clip in pairs:
        group = side.groups[clip.index]
        keys.append([("contents", clip.clip_id), *([("group", group)] if group else [])])
    groups = np.array(connected_groups(keys))
    targets = np.concatenate(
        [
            np.asarray(side.recordings.targets)[[clip.index for clip in clips]]
            for side, clips in zip(both, read, strict=True)
        ]
    )
    is_member = np.repeat([True, False], [len(clips) for clips in read])
    mels = [clip.mel for _, clip in pairs]
    clips = Spectrograms(
        mels,
        np.array([mel.shape[1] for mel in mels], dtype=np.int64),
        targets.astype(np.int64) if targets.ndim == 1 else targets,
        seconds=np.array([clip.seconds for _, clip in pairs]),
    )
    identity = [clip.clip_id for _, clip in pairs], targets.tolist(), groups.tolist()
    digest = hashlib.sha256(repr((*identity, is_member.tolist())).encode()).hexdigest()[:16]

    def read_clip(index: int, rate: int) -> Tensor:
        side, clip = pairs[index]
        return side.recordings.read(clip.index, rate)

    sizes = np.bincount(groups)
    return Pool(
        tuple(_name(side, clip) for side, clip in pairs),
        clips,
        is_member,
        groups,
        int((sizes > 1).sum()),
        read_clip,
        digest,
        tuple(notes),
    )


def check_class_sides(pool: Pool, labels: Sequence[str]) -> None:
    """Refuse a class that only members or only others have: its loss would tell them apart.

    Raises:
        UsageError: There is such a class; the message names it.
    """
    targets = pool.clips.targets
    sides: dict[int, set[bool]] = defaultdict(set)
    for index, member in enumerate(pool.is_member.tolist()):
        own = targets[index] if targets.ndim == 1 else np.flatnonzero(targets[index] >= 0.5)
        for target in np.atleast_1d(own).tolist():
            sides[target].add(member)
    lonely = [(labels[target], held) for target, held in sorted(sides.items()) if len(held) < 2]
    if lonely:
        label, held = lonely[0]
        has, lacks = (MEMBERS, OTHERS) if True in held else (OTHERS, MEMBERS)
        more = f" {len(lonely) - 1} more classes are like it." if len(lonely) > 1 else ""
        raise UsageError(
            f"The class {label!r} has {has}, but no {lacks}: the class alone would tell them "
            f"apart. Add {lacks} of it, or leave the class out of both sides.{more}"
        )


def spectrograms_of(pool: Pool, teacher: Model, front_end: FrontEnd) -> Spectrograms:
    """Return the clips of a pool with another front end; they are read again if it is necessary."""
    if front_end == teacher.front_end:
        return pool.clips
    mels = []
    for index in range(len(pool)):
        with torch.no_grad():
            mels.append(front_end(pool.read(index, front_end.sample_rate)).half())
    return Spectrograms(
        mels,
        np.array([mel.shape[1] for mel in mels], dtype=np.int64),
        pool.clips.targets,
        seconds=pool.clips.seconds,
    )
