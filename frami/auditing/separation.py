"""Check that members and others share no clip and no group, and that they share every class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from frami.auditing.attacks import Flags
from frami.auditing.reading import ReadClip, clip_name
from frami.auditing.sides import MEMBERS, OTHERS, Side, Sides
from frami.core.errors import UsageError
from frami.core.text import count, itemize, preview
from frami.data.spellings import spelling_key


def check_overlap(both: Sequence[Side], read: Sequence[Sequence[ReadClip]]) -> None:
    """Refuse clips with the same samples on both sides."""
    members = {clip.clip_id: clip for clip in read[0]}
    pairs = [(members[clip.clip_id], clip) for clip in read[1] if clip.clip_id in members]
    if pairs:
        names = [
            f"{clip_name(both[0], member)} and {clip_name(both[1], other)} have the same samples."
            for member, other in pairs
        ]
        raise UsageError(
            f"{count(len(pairs), 'recording')} of the others "
            f"{'is a member' if len(pairs) == 1 else 'are members'} as well; take "
            f"{'it' if len(pairs) == 1 else 'them'} out of one side:{itemize(names)}"
        )


def separate_groups(sides: Sides, read: Sequence[Sequence[ReadClip]]) -> tuple[list[ReadClip], str]:
    """Return the others without the groups of members, and a note; refuse a user's own groups."""
    own, other = sides.members.groups, sides.others.groups
    # Two spellings of one name, such as S-01 and s 1, are one speaker.
    taken = {spelling_key(own[clip.index]) for clip in read[0] if own[clip.index]}
    in_both = {name for name in other if name and spelling_key(name) in taken}
    kept = [clip for clip in read[1] if other[clip.index] not in in_both]
    shared = sorted(in_both & {other[clip.index] for clip in read[1]})
    if not shared:
        return list(read[1]), ""
    if not sides.shared_groups:
        is_one = len(shared) == 1
        raise UsageError(
            f"{count(len(shared), 'group')} ({preview(shared)}) {'is' if is_one else 'are'} among "
            f"members and others. Move {'it' if is_one else 'each'} to one side. To audit "
            f"single clips rather than speakers, remove the groups from the table."
        )
    if not kept:
        raise UsageError(
            f"All others share a source or speaker with members ({preview(shared)}). Choose "
            f"another `test_fold`."
        )
    left_out = count(len(read[1]) - len(kept), "other clip")
    return kept, (
        f"Left out: {left_out}, because of a source or speaker that members share "
        f"({preview(shared)})."
    )


def check_class_sides(targets: np.ndarray, is_member: Flags, labels: Sequence[str]) -> None:
    """Refuse a class that only members or only others have: its loss would tell them apart.

    Raises:
        UsageError: There is such a class; the message names it.
    """
    sides: dict[int, set[bool]] = defaultdict(set)
    for index, member in enumerate(is_member.tolist()):
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
