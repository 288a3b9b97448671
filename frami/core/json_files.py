"""Read JSON that may come from a stranger: every type is checked here, before a value is used."""

from __future__ import annotations

import json
import os
import stat
import sys
import types
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from frami.core.errors import OperationError
from frami.core.files import describe_os_error

# Parsed, a file can take 25 times its size in memory.
MAX_BYTES = 1 << 24
MAX_LEVELS = 100  # of lists and objects within each other
MAX_INTEGER = 2**63
NAMES = {
    bool: "true or false",
    int: "an integer",
    float: "a finite number",
    str: "a text",
    list: "a list",
    dict: "an object",
    type(None): "null",
}

NOTHING: Mapping[str, Any] = types.MappingProxyType({})


def parse_json(text: str, source: str) -> Any:
    """Return the value of a JSON text.

    Args:
        text: The text.
        source: Name of its file, for the error message.

    Raises:
        OperationError: It is not JSON, is too large, or is nested too deeply.
    """
    if len(text) > MAX_BYTES:
        raise _too_large(source)
    try:
        value = json.loads(text, object_pairs_hook=_unique)
        _check_levels(value)
        if "\\ud" in text.lower():  # half of a letter, which cannot be written to any file
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise OperationError(f"{source} is not readable JSON ({error}). Copy it again.") from error
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; of two values with one name, one would be ignored."""
    content = dict(pairs)
    if len(content) < len(pairs):
        name = next(name for name, times in Counter(n for n, _ in pairs).items() if times > 1)
        raise ValueError(f"it has two values called {name[:40]!r}")
    return content


def _too_large(source: str | Path) -> OperationError:
    return OperationError(f"{source} has more than {MAX_BYTES >> 20} MiB: it is not JSON of frami.")


def _check_levels(value: Any) -> None:
    """Raise a ValueError if a value is nested so deeply that a function could not walk it."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_LEVELS):
        inner = (part.values() if isinstance(part, dict) else part for part in level)
        level = [part for parts in inner for part in parts if isinstance(part, dict | list)]
    if level:
        raise ValueError(f"it is nested more than {MAX_LEVELS} levels deep")


def read_json(path: Path) -> Any:
    """Return the content of a JSON file of at most 16 MiB.

    Raises:
        OperationError: It cannot be read, is too large, or is not JSON.
    """
    try:
        return parse_json(_read_plain(path).decode(), str(path))
    except OSError as error:
        raise OperationError(describe_os_error(error, "read", path)) from error
    except UnicodeDecodeError as error:
        raise OperationError(f"{path} is not readable JSON ({error}). Copy it again.") from error


def _read_plain(path: Path) -> bytes:
    """Return the bytes of a file; a pipe would be waited for, and a device may have no end."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OperationError(f"{path} is a pipe or a device. Put a file in its place.")
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise _too_large(path)
    return content


def read_object(
    path: Path, required: Mapping[str, Any], optional: Mapping[str, Any] = NOTHING
) -> dict[str, Any]:
    """Return a JSON object with checked entries.

    Args:
        path: The file.
        required: Type of each entry that must be there (`check_type`).
        optional: Type of each entry that may be there. Further entries are not checked.

    Raises:
        OperationError: The file cannot be read, or an entry is missing or has another type.
    """
    content = read_json(path)
    check_entries(content, str(path), required, optional)
    return dict(content)


def check_entries(
    content: Any, source: str, required: Mapping[str, Any], optional: Mapping[str, Any] = NOTHING
) -> None:
    """Raise an OperationError unless a JSON object has entries of these types."""
    check_type(content, dict, source, "content")
    if missing := sorted(required.keys() - content.keys()):
        raise OperationError(f"{source} is damaged: it lacks {', '.join(missing)}.")
    for name, kind in {**required, **optional}.items():
        if name in content:
            check_type(content[name], kind, source, name)


def parse_object(text: str, source: str) -> dict[str, Any]:
    """Return the JSON object of a text."""
    content = parse_json(text, source)
    check_type(content, dict, source, "content")
    return dict(content)


def parse_texts(text: str, source: str) -> tuple[str, ...]:
    """Return the texts of a JSON list."""
    content = parse_json(text, source)
    check_type(content, list[str], source, "content")
    return tuple(content)


def check_type(value: Any, kind: Any, source: str, name: str) -> None:
    """Raise an OperationError unless a JSON value has a type.

    Args:
        value: The value.
        kind: ``bool``, ``int`` (of 64 bits), ``float`` (finite; an integer also counts), ``str``,
            ``None``, ``list``, ``dict``, ``list[kind]``, ``dict[str, kind]``, ``kind | kind`` or
            ``Any``.
        source: Name of the file, for the error message.
        name: Name of the value, for the error message.
    """
    if not has_type(value, kind):
        raise OperationError(
            f"{source} is damaged: its {name} is {shorten(value)}; it must be {_describe(kind)}."
        )


def shorten(value: Any) -> str:
    """Return a value as text of at most 60 characters, for an error message."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def has_type(value: Any, kind: Any) -> bool:
    """Return whether a JSON value has a type; see `check_type`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(has_type(value, one) for one in arguments)
    if origin is list:
        return isinstance(value, list) and all(has_type(one, arguments[0]) for one in value)
    if origin is dict:
        return isinstance(value, dict) and all(has_type(v, arguments[1]) for v in value.values())
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, int | float) and abs(value) <= sys.float_info.max
    if kind is int:  # what an array can hold
        return isinstance(value, int) and abs(value) < MAX_INTEGER
    return isinstance(value, kind or type(None))


def _describe(kind: Any) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(map(_describe, arguments))
    if origin is list:
        return f"a list, each value {_describe(arguments[0])}"
    if origin is dict:
        return f"an object, each value {_describe(arguments[1])}"
    return NAMES.get(kind, "any value")
