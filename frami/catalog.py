"""Folders are the registries: a method, network, data set or question is a file, found by its name.

A name with a dot (``mylab.noise``) is a module of the user's own.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from pathlib import Path
from types import ModuleType

from frami.errors import WrongUse, unknown

KINDS = {"generators": "method", "students": "network", "teachers": "network", "datasets": "data set"}


def names(family: str) -> list[str]:
    """Return the names in a family, without importing any of them.

    >>> names("students")
    ['dscnn', 'secrnn', 'small']
    """
    spec = importlib.util.find_spec("frami")
    assert spec is not None and spec.submodule_search_locations is not None
    folder = Path(next(iter(spec.submodule_search_locations))) / family
    if not folder.is_dir():  # no links in this checkout: ask the installed mapping
        found = importlib.util.find_spec(f"frami.{family}")
        assert found is not None and found.submodule_search_locations is not None
        folder = Path(next(iter(found.submodule_search_locations)))
    return sorted(m.name for m in pkgutil.iter_modules([str(folder)]) if not m.name.startswith("_"))


def load(family: str, name: str) -> ModuleType:
    """Return the module of ``name`` in a family; the nearest name is offered where there is none."""
    if "." in name:
        return _own(name)
    if name not in names(family):
        raise unknown(KINDS.get(family, family), name, names(family))
    return importlib.import_module(f"frami.{family}.{name}")


def network(name: str) -> ModuleType:
    """Return the module of a teacher or student network; any network may play either part."""
    if "." in name:
        return _own(name)
    for family in ("teachers", "students"):
        if name in names(family):
            return load(family, name)
    raise unknown("network", name, names("teachers") + names("students"))


def _own(name: str) -> ModuleType:
    """Return a module of the user's own."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise WrongUse(
            f"There is no module {name!r} ({error}); a name with a dot is a module on Python's path."
        ) from error
