"""Functions of the user's own: where they are, and whether frami may run them.

A function is named by its entry point, ``package.module:function`` or ``file.py:function``. A
bundle that needs one stores its reference: the entry point and the first 16 hex digits of the
SHA-256 of the source, joined by ``@``. The source of a file is copied into the bundle; a module
must be importable.

Code runs only where the user names it, or inside `trusting_code`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from frami.core import registry
from frami.core.errors import OperationError, UsageError
from frami.core.files import expand
from frami.core.json_files import read_json
from frami.core.memory import raise_if_full

CODE_FOLDER = "code"  # in a bundle
TEACHER_CODE = "teacher_code"  # in the record of a store: references of its teacher
EXPORTED_FILE = "features.py"  # a feature function, in the folder of an export

_trusted: ContextVar[bool] = ContextVar("trusted", default=False)
_functions: dict[str, Callable[..., Any]] = {}
_sources: dict[str, bytes] = {}


@dataclass(frozen=True)
class Reference:
    """A function, and the source that it was read from.

    Attributes:
        entry: ``package.module:function`` or ``file.py:function``, with the file's name alone.
        digest: First 16 hex digits of the SHA-256 of the source file.
    """

    entry: str
    digest: str

    def __str__(self) -> str:
        return f"{self.entry}@{self.digest}"

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Return the reference that a bundle stores as text."""
        entry, _, digest = text.partition("@")
        if ":" not in entry or len(digest) != 16:
            raise OperationError(
                f"{text!r} is not a reference to a function: copy the bundle again."
            )
        return cls(entry, digest)

    @property
    def is_file(self) -> bool:
        """Whether the function is in a file, and not in an importable module."""
        return self.entry.partition(":")[0].endswith(".py")


@contextmanager
def trusting_code(trusted: bool = True) -> Iterator[None]:
    """Allow bundles to run the code that they need within the block."""
    token = _trusted.set(trusted or _trusted.get())
    try:
        yield
    finally:
        _trusted.reset(token)


def is_trusted() -> bool:
    """Return whether bundles may run code now."""
    return _trusted.get()


def load_entry_point(entry: str) -> Reference:
    """Run the code that the user names; return the reference of its function.

    `find_function` then returns the function.

    Args:
        entry: ``package.module:function`` or ``path/to/file.py:function``.

    Raises:
        UsageError: There is no such file, module or function, or its code raises.
    """
    place, _, name = entry.rpartition(":")
    if not place or not name.isidentifier():
        raise UsageError(
            f"{entry!r} is not an entry point. Write package.module:function or file.py:function."
        )
    if place.endswith(".py"):
        path = expand(place)
        if not path.is_file():
            raise UsageError(f"There is no file {place!r}.")
        return _register(_run_file(path), path.name, name, path.read_bytes())
    module = registry.import_user_module(place)
    if not module.__file__:
        raise UsageError(f"{place!r} is a package without a file; name a module in it.")
    return _register(module, place, name, Path(module.__file__).read_bytes())


def _register(module: ModuleType, place: str, name: str, source: bytes) -> Reference:
    function = getattr(module, name, None)
    if not callable(function):
        raise UsageError(f"{place} has no function {name!r}.")
    reference = Reference(f"{place}:{name}", hashlib.sha256(source).hexdigest()[:16])
    _functions[str(reference)], _sources[str(reference)] = function, source
    return reference


def _run_file(path: Path) -> ModuleType:
    """Return the module of a file; its folder is searched for the modules that it imports."""
    name = f"frami_user_{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses and inspect look for it
    registry.search_current_folder()
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise_if_full(error)
        raise UsageError(describe_error(error, path)) from error
    return module


def describe_error(error: BaseException, path: Path | str) -> str:
    """Return a sentence on an error of the user's code that names its own line."""
    source = Path(path).resolve()
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).resolve() == source
    ]
    line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else None
    line = frames[-1].lineno if frames else line
    place = f"Line {line} of {path}" if line else str(path)
    return f"{place} failed ({type(error).__name__}: {error}); correct it."


def find_function(reference: str) -> Callable[..., Any]:
    """Return the function of a reference that was loaded in this process.

    Raises:
        UsageError: Its code was not loaded.
    """
    if reference not in _functions:
        raise UsageError(
            f"The code of {reference.partition('@')[0]} was not loaded. Load the model that needs "
            f"it with `trust_code`."
        )
    return _functions[reference]


def save_source(folder: Path, reference: str) -> dict[str, bytes]:
    """Return the files that a bundle needs for a function, by path below ``folder``."""
    parsed = Reference.parse(reference)
    if not parsed.is_file:
        return {}
    return {f"{CODE_FOLDER}/{parsed.digest}.py": _sources[reference]}


def source_of(reference: str) -> bytes:
    """Return the source that a function was loaded from."""
    return _sources[reference]


def load_reference(folder: Path, reference: str) -> Callable[..., Any]:
    """Return the function that a bundle or an export refers to, if its code is trusted.

    Raises:
        UsageError: The code is not trusted.
        OperationError: The code is missing or was changed.
    """
    if reference in _functions:
        return _functions[reference]
    parsed = Reference.parse(reference)
    place, _, name = parsed.entry.partition(":")
    if not is_trusted():
        raise UsageError(
            f"The bundle {folder} runs code of its own ({parsed.entry}). If you trust it, pass "
            f"`trust_code`."
        )
    if parsed.is_file:
        path = folder / CODE_FOLDER / f"{parsed.digest}.py"
        if not path.is_file() and (folder / EXPORTED_FILE).is_file():
            path = folder / EXPORTED_FILE
        if not path.is_file():
            raise OperationError(f"The bundle {folder} lacks {path}: copy it again.")
        source = path.read_bytes()
        _check_digest(folder, parsed, source)
        return _store(reference, _run_file(path), name, source)
    module = registry.import_user_module(place)
    source = Path(str(module.__file__)).read_bytes()
    _check_digest(folder, parsed, source)
    return _store(reference, module, name, source)


def is_needed_by(path: Path) -> bool:
    """Return whether the model of a path runs code of its own.

    Args:
        path: The folder of a bundle or of an export, an ONNX file of an export, or a store, which
            stands for its teacher.
    """
    if path.suffix == ".h5":
        return bool(_read_object(path.with_suffix(".run") / "run.json").get(TEACHER_CODE))
    folder = path.parent if path.suffix == ".onnx" else path
    hub = _read_object(folder / "config.json").get("frami")
    for content in (_read_object(folder / "model.json"), hub if isinstance(hub, dict) else {}):
        front_end = content.get("front_end")
        if "adoption" in content or (isinstance(front_end, dict) and front_end.get("function")):
            return True
    return bool(_read_object(folder / "front_end.json").get("function"))


def _read_object(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file; nothing if it cannot be read."""
    with suppress(OperationError):
        if isinstance(content := read_json(path), dict):
            return content
    return {}


def _check_digest(folder: Path, reference: Reference, source: bytes) -> None:
    if hashlib.sha256(source).hexdigest()[:16] != reference.digest:
        raise OperationError(
            f"The bundle {folder} was made with other code of {reference.entry} than there is now. "
            "Restore that code, or adopt the model again."
        )


def _store(reference: str, module: ModuleType, name: str, source: bytes) -> Callable[..., Any]:
    _functions[reference], _sources[reference] = getattr(module, name), source
    return _functions[reference]
