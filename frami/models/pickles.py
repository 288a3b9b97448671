"""Weigh a pickle before torch reads it.

torch calls only functions that it knows. Some of them make a tensor of any size from a number, or a
text that grows with each call; only those that torch.save needs for weights are let through.

A tuple may hold a tuple twice, which holds another one twice, and so on: a few bytes then stand for
any number of parts. To enter it in a dict, Python visits them all, and cannot be interrupted. Keys
that were chosen to have one hash are as slow: a key is a text, or a number of 64 bits.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

LEGACY_PICKLES = 5  # one after the other in a file that is no zip file
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # the first of them
MOST_PARTS, MOST_PARTS_PER_BYTE = 1 << 20, 16
LETTERS_PER_PART = 8
MAX_INTEGER = 1 << 64

ORDERED, COUNTER = "collections OrderedDict", "collections Counter"
SETS = "builtins set", "__builtin__ set"
ENCODE, SUBCLASS = "_codecs encode", "torch._tensor _rebuild_from_type_v2"
# Functions that torch.save writes for tensors, and for plain values beside them.
CALLED = {
    *(ORDERED, COUNTER, *SETS, ENCODE, SUBCLASS, "builtins complex", "__builtin__ complex"),
    *("torch Size", "torch device", "torch.serialization _get_layout"),
    *("torch.nn.parameter Parameter", "torch._utils _rebuild_parameter"),
    *("torch._utils _rebuild_parameter_with_state", "torch._utils _rebuild_tensor"),
    *("torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_tensor_v3"),
    *("torch._utils _rebuild_sparse_tensor", "torch._utils _rebuild_qtensor"),
    "torch._utils _rebuild_meta_tensor_no_storage",
}
ADDED = {"APPEND", "APPENDS", "SETITEM", "SETITEMS"}  # to the list or dict below
KEYS = {"str", "bytes_or_str", "int", "float", "bool", "None"}


@dataclass(slots=True)
class Part:
    """What a pickle holds at one place.

    Attributes:
        kind: Its type in the words of `pickletools`.
        value: The argument of its opcode.
        parts: Number of parts that are visited or copied with it.
        inner: Its items, of a tuple or a list.
    """

    kind: str
    value: Any = None
    parts: int = 1
    inner: list[Part] = field(default_factory=list)


MARK = Part("mark")
NUMBERS = {kind: Part(kind) for kind in ("int", "float", "bool", "None")}


def check_parts(content: bytes) -> None:
    """Check pickles, one after the other.

    Raises:
        ValueError: They repeat their parts too often, or are damaged.
        pickle.UnpicklingError: They call functions that weights do not need.
    """
    file = io.BytesIO(content)
    most = MOST_PARTS + MOST_PARTS_PER_BYTE * len(content)
    for _ in range(LEGACY_PICKLES):
        if file.tell() < len(content):
            _check_parts(file, most)


def _check_parts(file: io.BytesIO, most: int) -> None:
    """Follow a pickle, with a `Part` in place of each object."""
    stack: list[Part] = []
    memo: dict[object, Part] = {}
    try:
        for opcode, argument, _ in pickletools.genops(file):
            if "PUT" in opcode.name or opcode.name == "MEMOIZE":
                memo[len(memo) if argument is None else argument] = stack[-1]
            elif "GET" in opcode.name or opcode.name == "DUP":
                stack.append(stack[-1] if opcode.name == "DUP" else memo[argument])
                most -= stack[-1].parts
            else:
                _apply(opcode, argument, stack)
            if most < 0:
                raise ValueError("it repeats its parts too often")
    except (IndexError, KeyError) as error:
        raise ValueError("its pickle is damaged") from error


def _apply(opcode: pickletools.OpcodeInfo, argument: Any, stack: list[Part]) -> None:
    """Replace the objects that an opcode takes by those that it returns."""
    if opcode.name == "MARK":
        stack.append(MARK)
        return
    taken: list[Part] = []  # the last one first
    before = opcode.stack_before
    if pickletools.markobject in before:
        while (part := stack.pop()) is not MARK:
            taken.append(part)
        before = before[: before.index(pickletools.markobject)]
    taken += [stack.pop() for _ in before]
    taken.reverse()
    if opcode.name in ADDED:
        _add(taken[0], taken[1:], has_keys=opcode.name.startswith("SET"))
        stack.append(taken[0])
        return
    if opcode.name in ("REDUCE", "NEWOBJ"):
        _check_call(*taken)
    if isinstance(argument, int) and abs(argument) >= MAX_INTEGER and argument != LEGACY_MAGIC:
        raise ValueError("it holds an integer of more than 64 bits")
    if opcode.stack_after and opcode.stack_after[0].name in NUMBERS:
        stack.append(NUMBERS[opcode.stack_after[0].name])
        return
    letters = len(argument) // LETTERS_PER_PART if isinstance(argument, str | bytes) else 0
    parts = 1 + letters + sum(part.parts for part in taken)
    for after in opcode.stack_after:
        stack.append(Part(after.name, argument, parts, taken))


def _add(container: Part, items: Sequence[Part], *, has_keys: bool) -> None:
    """Add items to a list, or keys and values in turn to a dict."""
    container.parts += len(items)
    if has_keys:
        _check_keys(items[::2])
    else:
        container.inner += items


def _check_keys(keys: Sequence[Part]) -> None:
    if any(key.kind not in KEYS for key in keys):
        raise ValueError("it holds a key that is neither a text nor a number")


def _check_call(function: Part, arguments: Part) -> None:
    """Raise an UnpicklingError for a function that weights do not need, or that may take long."""
    first = arguments.inner[0] if arguments.inner else Part("list")
    fits = function.value in CALLED
    if function.value == SUBCLASS:
        fits = first.value in CALLED - {SUBCLASS, ENCODE}
    elif function.value == ENCODE:  # how bytes are saved
        fits = first.kind == "str" and arguments.inner[1].value == "latin1"
    elif function.value == COUNTER:
        fits = first.kind == "dict" or not arguments.inner
    elif function.value in SETS:
        _check_keys(first.inner)
        fits = first.kind == "list"
    elif function.value == ORDERED:  # Python 2 saved its items as lists
        fits = first.kind == "list" and all(pair.kind == "list" for pair in first.inner)
        _check_keys([pair.inner[0] for pair in first.inner])
    if not fits:
        raise pickle.UnpicklingError(f"it calls {function.value}")
