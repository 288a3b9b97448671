"""Settings are frozen dataclasses: parsed from ``name=value``, checked, and stored as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import Field, field, fields
from typing import Any, TypeVar

from frami.core.errors import OperationError, UsageError, unknown_name

T = TypeVar("T")

KINDS = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}
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
    """Return a dataclass field with a help text and a range of values.

    Args:
        default: Default value; its type is the type of the setting.
        help: Help text.
        low: Lowest value; None for no limit.
        high: Highest value; None for no limit.
        omit_default: Leave the setting out of files while it has its default.
        is_path: The setting is a place of files. It is not part of the identity of a result.
    """
    return field(
        default=default,
        metadata={
            "help": help,
            "low": low,
            "high": high,
            "omit_default": omit_default,
            "is_path": is_path,
        },
    )


def weight(default: float, help: str, *, omit_default: bool = False) -> Any:
    """Return a dataclass field for the weight of the loss with the same name; 0 turns it off."""
    metadata = {"help": help, "low": 0, "high": None, "loss": True, "omit_default": omit_default}
    return field(default=default, metadata=metadata)


def loss_weights(settings: Any) -> dict[str, float]:
    """Return the weight of every loss."""
    return {f.name: getattr(settings, f.name) for f in fields(settings) if f.metadata.get("loss")}


def parse_assignments(assignments: Iterable[str], kinds: Mapping[str, type]) -> dict[str, Any]:
    """Return ``name=value`` texts as a dict of Python values.

    The value is read as JSON, unless the setting is a ``str``.

    >>> parse_assignments(["steps=10", "data=2024"], {"steps": int, "data": str})
    {'steps': 10, 'data': '2024'}
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise UsageError(f"The setting {assignment!r} has no '='. Write it as name=value.")
        if name not in kinds:
            raise unknown_name("setting", name, kinds)
        try:
            values[name] = text if kinds[name] is str else json.loads(text)
        except ValueError:  # not JSON, or a number with more digits than Python reads
            values[name] = text
    return values


def make_settings(cls: type[T], values: Mapping[str, Any]) -> T:
    """Return a settings object; refuse unknown names, wrong types and values out of range."""
    if not isinstance(values, Mapping):
        raise UsageError(f"The settings must be a dict of values by name; they are {values!r}.")
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
        meaning = f" ({known.metadata['help']})" if "help" in known.metadata else ""
        raise UsageError(f"{known.name} is {value!r}; it must be {KINDS[expected]}{meaning}.")
    # Written so that NaN is refused as well.
    if expected in (int, float) and not abs(value) <= MAX_NUMBER:
        raise UsageError(
            f"{known.name} is {value!r}; a finite number is allowed, up to {MAX_NUMBER:.0e}."
        )
    low, high = known.metadata.get("low"), known.metadata.get("high")
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        raise UsageError(f"{known.name} is {value!r}; allowed: {_bounds(known)}.")


def _bounds(known: Field[Any]) -> str:
    low, high = known.metadata.get("low"), known.metadata.get("high")
    if low is None:
        return "" if high is None else f"{high} or less"
    return f"{low} or more" if high is None else f"{low} to {high}"


def settings_to_json(settings: Any) -> dict[str, Any]:
    """Return the content of a settings object for a file; `settings_from_json` reads it."""
    return {
        f.name: getattr(settings, f.name)
        for f in fields(settings)
        if not (f.metadata.get("omit_default") and getattr(settings, f.name) == f.default)
    }


def identity_fields(settings: Any) -> dict[str, Any]:
    """Return the settings that a result depends on: all but paths."""
    paths = {f.name for f in fields(settings) if f.metadata.get("is_path")}
    return {name: value for name, value in settings_to_json(settings).items() if name not in paths}


def settings_from_json(cls: type[T], values: Mapping[str, Any], source: str) -> T:
    """Return a settings object from the content of a file.

    Args:
        cls: Settings class.
        values: Content of the file.
        source: Name of the file, for error messages.

    Raises:
        OperationError: The file holds an unknown name or a wrong value.
    """
    if not isinstance(values, Mapping):
        raise OperationError(f"{source} is damaged: it holds {values!r} in place of settings.")
    try:
        return make_settings(cls, values)
    except (UsageError, TypeError) as error:
        raise OperationError(f"{source}: {error}") from error


def describe_settings(cls: type) -> list[tuple[str, Any, str]]:
    """Return name, default and help text with the range, for every setting."""
    rows = []
    for f in fields(cls):
        bounds = _bounds(f)
        help = f.metadata.get("help", "")
        rows.append((f.name, f.default, f"{help} [{bounds}]" if bounds else help))
    return rows


def describe_differences(
    recorded: Mapping[str, Any], given: Mapping[str, Any], limit: int | None = None
) -> str:
    """Return the settings that differ, with both values, in one line.

    Args:
        recorded: The settings of before.
        given: The settings of now.
        limit: Largest number of settings to name; None names all.

    >>> describe_differences({"seed": 0, "options": {"steps": 5}}, {"options": {"steps": 8}})
    'seed 0, now None; options.steps 5, now 8'
    """
    before, now = _flatten(recorded), _flatten(given)
    different = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return "; ".join(
        f"{name} {_shorten(before.get(name))}, now {_shorten(now.get(name))}"
        for name in different[:limit]
    )


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings in one mapping, under names with dots."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _shorten(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
