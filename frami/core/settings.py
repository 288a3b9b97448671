"""Settings are frozen dataclasses: from ``name=value`` on the command line, into run.json, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import Field, field, fields
from typing import Any, TypeVar

from frami.core.errors import OperationError, UsageError, unknown_name

T = TypeVar("T")

MAX_NUMBER = 2**63 - 1


def setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    omit_default: bool = False,
    is_path: bool = False,
) -> Any:
    """Return a dataclass field with a help text and the range that its value may have.

    One that was ``added`` after files had been written is left out of files at its default: they stay as they are. A
    ``place`` says where something lies, and is no part of what is made of it.
    """
    return field(
        default=default,
        metadata={"help": help, "low": low, "high": high, "added": omit_default, "place": is_path},
    )


def weight(default: float, help: str) -> Any:
    """Return a dataclass field for the weight of a loss of the same name; at 0 it is left out."""
    return field(default=default, metadata={"help": help, "low": 0, "high": None, "loss": True})


def loss_weights(settings: Any) -> dict[str, float]:
    """Return the weight of every loss."""
    return {f.name: getattr(settings, f.name) for f in fields(settings) if f.metadata.get("loss")}


def parse_assignments(assignments: Iterable[str], kinds: Mapping[str, type]) -> dict[str, Any]:
    """Return ``name=value`` texts as a dict of Python values; of a setting that is text, the text as it is.

    >>> parse_assignments(["steps=10", "data=2024"], {"steps": int, "data": str})
    {'steps': 10, 'data': '2024'}
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise UsageError(f"--set {assignment!r} has no '='; write --set name=value.")
        if name not in kinds:
            raise unknown_name("setting", name, kinds)
        try:
            values[name] = text if kinds[name] is str else json.loads(text)
        except ValueError:  # no JSON, or a number of more digits than Python reads
            values[name] = text
    return values


def make_settings(cls: type[T], values: Mapping[str, Any]) -> T:
    """Return a settings object; unknown names, wrong types and values out of range are refused by name."""
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    for name, value in values.items():
        if name not in known:
            raise unknown_name("setting", name, known)
        _check(known[name], value)
    return cls(**values)


def _check(known: Field[Any], value: Any) -> None:
    expected = type(known.default)
    fits = isinstance(value, int | float) if expected is float else isinstance(value, expected)
    if not fits or (isinstance(value, bool) and expected is not bool):
        raise UsageError(
            f"{known.name} is {value!r}; it takes a value like {known.default!r}: {known.metadata.get('help', '')}"
        )
    # Written so that NaN is refused as well.
    if expected in (int, float) and not abs(value) <= MAX_NUMBER:
        raise UsageError(
            f"{known.name} is {value!r}; a finite number is allowed, up to {MAX_NUMBER:.0e}."
        )
    low, high = known.metadata.get("low"), known.metadata.get("high")
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        raise UsageError(f"{known.name} is {value!r}; {_bounds(known)} is allowed.")


def _bounds(known: Field[Any]) -> str:
    low, high = known.metadata.get("low"), known.metadata.get("high")
    if low is None:
        return ""
    return f"{low} or more" if high is None else f"{low} to {high}"


def settings_to_json(settings: Any) -> dict[str, Any]:
    """Return a settings object as what a file holds."""
    return {
        f.name: getattr(settings, f.name)
        for f in fields(settings)
        if not (f.metadata.get("added") and getattr(settings, f.name) == f.default)
    }


def identity_fields(settings: Any) -> dict[str, Any]:
    """Return all settings but places: what is made by equal ones is equal."""
    return {
        f.name: getattr(settings, f.name) for f in fields(settings) if not f.metadata.get("place")
    }


def settings_from_json(cls: type[T], values: Mapping[str, Any], source: str) -> T:
    """Return a settings object from what a file holds; an unknown key is an error of that file."""
    try:
        return make_settings(cls, values)
    except (UsageError, TypeError) as error:
        raise OperationError(f"{source}: {error}") from error


def describe_settings(cls: type) -> list[tuple[str, Any, str]]:
    """Return name, default and help text, with the range, of every setting."""
    return [
        (
            f.name,
            f.default,
            f.metadata.get("help", "") + (f" [{bounds}]" if (bounds := _bounds(f)) else ""),
        )
        for f in fields(cls)
    ]
