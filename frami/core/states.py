"""The state of a run, in two files: the last one, and the one before, if the last is damaged.

Each is a zip file of torch with a CRC-32 checksum for every tensor. All are checked before a state
is used.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from frami.core import files
from frami.core.errors import OperationError
from frami.core.memory import raise_unless_damaged
from frami.core.run_record import STATE_FILES
from frami.core.warn import warn


def write_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Write a state, and keep the one before; after an interruption one of them is whole."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    last, before = (folder / name for name in STATE_FILES)
    files.write_bytes(last, buffer.getvalue(), keep=before)


def read_state(folder: Path) -> dict[str, Any] | None:
    """Return the last state that is whole, or None if no state was written.

    A damaged last state is replaced by the one before, with a warning.

    Raises:
        OperationError: There are states, but none is whole.
    """
    last = folder / STATE_FILES[0]
    problems: list[str] = []
    for path in (folder / name for name in STATE_FILES):
        if not path.is_file():
            continue
        try:
            state = _load(path)
        except Exception as error:
            raise_unless_damaged(error, path)
            problems.append(f"{path} cannot be read ({error}).")
            continue
        if problems:
            warn(f"{problems[0]} The run goes on from the state before it.")
            with files.reraise_os_errors():
                path.replace(last)
        return state
    if not problems:
        return None
    raise OperationError(
        f"{' '.join(problems)} Delete {'it' if len(problems) == 1 else 'both'} to start again."
    )


def _load(path: Path) -> dict[str, Any]:
    """Return a state after a check of its checksums, which torch does not read."""
    with path.open("rb") as file:
        with zipfile.ZipFile(file) as archive:
            if damaged := archive.testzip():
                raise ValueError(f"{damaged} differs from its checksum")
        file.seek(0)
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return state
