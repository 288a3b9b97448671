"""Front ends that a user names: a preset, or a JSON file of settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from frami.audio.frontend import FrontEnd
from frami.audio.presets import find_preset
from frami.core.errors import OperationError, UsageError
from frami.core.files import expand
from frami.core.json_files import read_json
from frami.core.settings import make_settings, settings_to_json

FILE_SUFFIX = ".json"
PRESET = "preset"


def named_front_end(name: str) -> FrontEnd:
    """Return a front end from the name of a preset, or from a JSON file.

    The file holds settings of `FrontEnd` by name; others have their default. With the key
    ``preset``, others are those of that preset. The file may also be the ``model.json`` of a bundle
    or the ``front_end.json`` of an export.

    Raises:
        UsageError: There is no such preset or file, or the file holds an unknown name or a wrong
            value.
    """
    return _read(expand(name)) if name.endswith(FILE_SUFFIX) else find_preset(name)


def _read(path: Path) -> FrontEnd:
    if not path.is_file():
        raise UsageError(f"There is no file {str(path)!r}.")
    try:
        content = read_json(path)
    except OperationError as error:
        raise UsageError(str(error)) from error
    if isinstance(content, dict) and "front_end" in content:
        if beside := sorted(content.keys() & {PRESET, *FrontEnd.__dataclass_fields__}):
            raise UsageError(
                f"{path} has {beside[0]} beside front_end, which would not count. Move it into "
                f"front_end, or remove it."
            )
        content = content["front_end"]
    if not isinstance(content, dict):
        raise UsageError(f"{path} must hold settings by name, such as {{'n_mels': 40}}.")
    if content.get("function"):
        raise UsageError(
            f"The features of {path} come from a function ({content['function']}). Name the "
            f"function itself, file.py:function."
        )
    try:
        return _make(content)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _make(content: dict[str, Any]) -> FrontEnd:
    values = {name: value for name, value in content.items() if name != PRESET}
    if PRESET not in content:
        return make_settings(FrontEnd, values)
    preset = settings_to_json(find_preset(str(content[PRESET])))
    return make_settings(FrontEnd, {**preset, **values})
