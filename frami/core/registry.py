"""Folders are the registries: a method, network or data set is a file, found by its name.

A name with a dot (``mylab.noise``) is a module of the user's own.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from pathlib import Path
from types import ModuleType

from frami.core.errors import UsageError, unknown_name

KINDS = {
    "generators": "method",
    "students": "network",
    "teachers": "network",
    "datasets": "data set",
}
# What a module of the user's own must have.
REQUIRED_NAMES = {
    "generators": ("Settings", "Method"),
    "students": ("build",),
    "teachers": ("build",),
    "datasets": ("FOLDER", "SECONDS", "SAMPLE_RATE", "test_folds", "split"),
}


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
        return _own(name, family)
    if name not in names(family):
        raise unknown_name(KINDS.get(family, family), name, names(family))
    return importlib.import_module(f"frami.{family}.{name}")


def load_network(name: str) -> ModuleType:
    """Return the module of a teacher or student network; any network may play either part."""
    if "." in name:
        return _own(name, "students")
    for family in ("teachers", "students"):
        if name in names(family):
            return load(family, name)
    raise unknown_name("network", name, names("teachers") + names("students"))


def import_user_module(name: str) -> ModuleType:
    """Return a module of the user's own."""
    try:
        return importlib.import_module(name)
    # A name that begins with a dot is a TypeError, one that ends with it a ModuleNotFoundError.
    except (ImportError, TypeError) as error:
        raise UsageError(
            f"There is no module {name!r} ({error}); a name with a dot is a module in this folder or on Python's path."
        ) from error
    except SyntaxError as error:
        raise UsageError(f"The module {name!r} is no valid Python ({error}); mend it.") from error
    except Exception as error:
        raise UsageError(
            f"The module {name!r} cannot be imported ({type(error).__name__}: {error}); mend it."
        ) from error


def _own(name: str, family: str) -> ModuleType:
    """Return a module of the user's own that does what those of a family do."""
    module, needed = import_user_module(name), REQUIRED_NAMES[family]
    absent = [attribute for attribute in needed if not hasattr(module, attribute)]
    if absent:
        raise UsageError(
            f"The module {name} is no {KINDS[family]}: it lacks {', '.join(absent)}; see frami.{family}."
        )
    return module
