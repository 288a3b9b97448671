"""Find methods, networks and data sets by name: each is one file in the folder of its family.

A name with a dot (``mylab.noise``) is a module of the user's own.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import pkgutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, TypeVar, overload

from frami.core.errors import UsageError, unknown_name
from frami.core.memory import raise_if_full

T = TypeVar("T")

KINDS = {
    "generators": "method",
    "students": "network",
    "teachers": "network",
    "datasets": "data set",
    "evaluate": "metric",
}


def names(family: str) -> list[str]:
    """Return the names in a family, without importing any of them.

    >>> names("students")
    ['dscnn', 'secrnn', 'small']
    """
    folder = _package_folder("frami") / family
    if not folder.is_dir():  # a checkout without the links: use the installed mapping
        folder = _package_folder(f"frami.{family}")
    return sorted(m.name for m in pkgutil.iter_modules([str(folder)]) if not m.name.startswith("_"))


def file_name(name: str) -> str:
    """Return a name as its file has it: a dash may stand for an underscore.

    >>> file_name("one-clip")
    'one_clip'
    """
    return name if "." in name else name.replace("-", "_")


def _package_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations)))


# A contract is typed as a callable, because `type[T]` does not accept a protocol class.
@overload
def load(family: str, name: str) -> ModuleType: ...
@overload
def load(family: str, name: str, contract: Callable[..., T]) -> T: ...
def load(family: str, name: str, contract: Any = None) -> Any:
    """Return the module with this name in a family.

    Args:
        family: ``generators``, ``students``, ``teachers``, ``datasets`` or ``evaluate``.
        name: A file of the family, or with a dot a module of the user's own.
        contract: Protocol class that describes the module; it is the type of the result. A module
            of the user's own must have every member that has no default in the protocol. Any
            module that lacks a member with a default gets that default.

    Raises:
        UsageError: There is no such module, or it lacks a required member.
    """
    _check_name(KINDS.get(family, family), name)
    if "." in name:
        return _load_user_module(family, name, contract)
    name = file_name(name)
    if name not in names(family):
        raise unknown_name(KINDS.get(family, family), name, names(family))
    return _with_defaults(importlib.import_module(f"frami.{family}.{name}"), contract)


@overload
def load_network(name: str) -> ModuleType: ...
@overload
def load_network(name: str, contract: Callable[..., T]) -> T: ...
def load_network(name: str, contract: Any = None) -> Any:
    """Return the module of a network; teachers and students may use any network."""
    _check_name("network", name)
    if "." in name:
        return _load_user_module("students", name, contract)
    for family in ("teachers", "students"):
        if name in names(family):
            return load(family, name, contract)
    raise unknown_name("network", name, names("teachers") + names("students"))


def search_current_folder() -> None:
    """Let Python find modules in the current folder, as code of the user's own needs it.

    Not before: libraries try to import optional packages, and the folder may be a download with
    files of their names.
    """
    with suppress(FileNotFoundError):  # the folder was deleted
        if os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())


def import_user_module(name: str) -> ModuleType:
    """Import a module of the user's own, from the current folder or from Python's path."""
    search_current_folder()
    try:
        return importlib.import_module(name)
    # A leading dot in the name raises a TypeError, a trailing dot a ModuleNotFoundError.
    except (ImportError, TypeError) as error:
        raise UsageError(
            f"There is no module {name!r} ({error}). A name with a dot is a module in the current "
            f"folder or on Python's path."
        ) from error
    except SyntaxError as error:
        raise UsageError(
            f"The module {name!r} is not valid Python ({error}); correct it."
        ) from error
    except Exception as error:
        raise_if_full(error)
        raise UsageError(
            f"The module {name!r} cannot be imported ({type(error).__name__}: {error}); correct it."
        ) from error


def required_names(contract: type) -> list[str]:
    """Return the members of a protocol class that have no default, in their order.

    >>> class Animal:
    ...     legs: int
    ...     wild: bool = False
    ...     def feed(self) -> None: ...
    >>> required_names(Animal)
    ['legs', 'feed']
    """
    required: dict[str, None] = {}
    for cls in _declaring_classes(contract):
        members = {**dict.fromkeys(inspect.get_annotations(cls)), **vars(cls)}
        required |= dict.fromkeys(
            name
            for name, member in members.items()
            if not name.startswith("_")
            and (name not in vars(cls) or isinstance(member, FunctionType | property))
        )
    return list(required)


def _declaring_classes(contract: type) -> list[type]:
    return [
        cls for cls in reversed(contract.__mro__) if cls.__module__ not in ("builtins", "typing")
    ]


def _with_defaults(module: ModuleType, contract: type | None) -> ModuleType:
    """Give a module the defaults of the optional members that it lacks."""
    for cls in _declaring_classes(contract) if contract else []:
        for name in inspect.get_annotations(cls):
            if name in vars(cls) and not hasattr(module, name):
                setattr(module, name, vars(cls)[name])
    return module


def _check_name(kind: str, name: Any) -> None:
    if not isinstance(name, str):
        raise UsageError(f"The name of a {kind} must be a text; it is {name!r}.")


def _load_user_module(family: str, name: str, contract: type | None) -> ModuleType:
    # A bundle may name any module; only what the user names makes Python search more folders.
    module = sys.modules.get(name) or import_user_module(name)
    required = required_names(contract) if contract else []
    missing = [member for member in required if not hasattr(module, member)]
    if missing:
        kind = KINDS.get(family, family)
        raise UsageError(
            f"The module {name} is not a {kind}: it lacks {', '.join(missing)}. "
            f"See frami.{family} for what it needs."
        )
    return _with_defaults(module, contract)
