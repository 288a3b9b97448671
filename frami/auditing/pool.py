"""The pool of an audit: spectrograms and groups of members and others, checked and in memory.

Nothing here is written to the cache folder: the recordings are private.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frami.audio.frontend import FrontEnd
from frami.auditing.attacks import Flags
from frami.auditing.reading import ReadClip, clip_name, read_side
from frami.auditing.separation import check_overlap, separate_groups
from frami.auditing.sides import MEMBERS, OTHERS, Side, Sides
from frami.core.errors import OperationError
from frami.core.progress import ProgressCallback, begin_stage, silent
from frami.core.text import count, itemize
from frami.data.clips import Spectrograms
from frami.data.grouping import connected_groups
from frami.data.spellings import spelling_key
from frami.models.model import Model

Read = Callable[[int, int], Tensor]
NO_GROUPS = (
    "No two clips are known to share a speaker or a source, so each counts as independent. If some "
    "do, name their groups in a table: the intervals are too narrow otherwise."
)


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

    def describe(self, notes: Sequence[str] = ()) -> dict[str, Any]:
        """Return numbers and notes on the recordings, with further notes."""
        return {
            "members": self.n_members,
            "others": self.n_others,
            "member_groups": self.groups_on(True),
            "other_groups": self.groups_on(False),
            "fingerprint": self.fingerprint,
            "notes": [*self.notes, *([] if self.named_groups else [NO_GROUPS]), *notes],
        }


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
    read: list[list[ReadClip]] = []
    for number, side in enumerate(both):
        before = number * len(both[0].recordings)
        read.append(list(read_side(side, teacher.front_end, problems, stage, before)))
    if problems and strict:
        raise OperationError(
            f"{count(len(problems), 'recording')} cannot be used. Leave out `strict` to audit "
            f"without them:{itemize(problems)}"
        )
    for side, clips, name in zip(both, read, (MEMBERS, OTHERS), strict=True):
        if not clips:
            reason = itemize(problems) if problems else " There are none."
            raise OperationError(f"None of the {name} in {side.place} can be used:{reason}")
    check_overlap(both, read)
    notes = [*sides.notes]
    if problems:
        notes.append(
            f"{len(problems)} of {total} recordings cannot be used and were left out:"
            f"{itemize(problems)}"
        )
    read[1], note = separate_groups(sides, read)
    return _assemble(both, read, [*notes, *([note] if note else [])])


def _assemble(
    both: Sequence[Side], read: Sequence[Sequence[ReadClip]], notes: Sequence[str]
) -> Pool:
    pairs = [(side, clip) for side, clips in zip(both, read, strict=True) for clip in clips]
    keys: list[list[object]] = []
    for side, clip in pairs:
        group = side.groups[clip.index]
        keys.append(
            [("contents", clip.clip_id), *([("group", spelling_key(group))] if group else [])]
        )
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
        names=tuple(clip_name(side, clip) for side, clip in pairs),
        clips=clips,
        is_member=is_member,
        groups=groups,
        named_groups=int((sizes > 1).sum()),
        read=read_clip,
        fingerprint=digest,
        notes=tuple(notes),
    )


def spectrograms_of(pool: Pool, teacher: Model, front_end: FrontEnd) -> Spectrograms:
    """Return the clips of a pool for a front end; read them again if it is not the teacher's."""
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
