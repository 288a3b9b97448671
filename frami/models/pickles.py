"""Weigh a pickle before torch reads it.

A tuple may hold a tuple twice, which holds another one twice, and so on: a few bytes then stand for
any number of parts. To enter it in a dict, Python visits them all, and cannot be interrupted.
"""

from __future__ import annotations

import io
import pickletools

LEGACY_PICKLES = 5  # one after the other in a file that is no zip file
MOST_PARTS, MOST_PARTS_PER_BYTE = 1 << 20, 16
MARK = -1


def check_parts(content: bytes) -> None:
    """Raise a ValueError if pickles, one after the other, repeat their parts too often."""
    file = io.BytesIO(content)
    most = MOST_PARTS + MOST_PARTS_PER_BYTE * len(content)
    for _ in range(LEGACY_PICKLES):
        if file.tell() < len(content):
            _check_parts(file, most)


def _check_parts(file: io.BytesIO, most: int) -> None:
    """Follow a pickle, with the number of parts in place of each object."""
    stack: list[int] = []
    memo: dict[object, int] = {}
    try:
        for opcode, argument, _ in pickletools.genops(file):
            if "PUT" in opcode.name or opcode.name == "MEMOIZE":
                memo[len(memo) if argument is None else argument] = stack[-1]
            elif "GET" in opcode.name or opcode.name == "DUP":
                stack.append(stack[-1] if opcode.name == "DUP" else memo[argument])
                most -= stack[-1]
            else:
                _apply(opcode, stack)
            if most < 0:
                raise ValueError("it repeats its parts too often")
    except (IndexError, KeyError) as error:
        raise ValueError("its pickle is damaged") from error


def _apply(opcode: pickletools.OpcodeInfo, stack: list[int]) -> None:
    """Replace the objects that an opcode takes by those that it returns."""
    if opcode.name == "MARK":
        stack.append(MARK)
        return
    taken, before = 1, opcode.stack_before
    if pickletools.markobject in before:
        while (parts := stack.pop()) != MARK:
            taken += parts
        before = before[: before.index(pickletools.markobject)]
    for _ in before:
        taken += stack.pop()
    stack += [taken] * len(opcode.stack_after)
