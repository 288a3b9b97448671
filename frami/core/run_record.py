"""The record of a run, run.json, and its log, metrics.jsonl."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from frami.core.environment import environment
from frami.core.errors import OperationError, UsageError
from frami.core.files import expand, reraise_os_errors
from frami.core.json_files import check_entries, read_json

MOST_DAMAGED = 100  # lines of metrics.jsonl; an interruption damages one
TEXTS = {"setback"}  # entries of metrics.jsonl that are not numbers
# Types of the entries of run.json.
RECORD = {"settings": dict, "status": str, "command": str, "seconds": float}
OPTIONAL = {
    **{"scores": dict, "versions": dict[str, str], "extensions": list[dict[str, Any]]},
    **{"recordings": str, "cpu_seconds": float, "peak_memory": float, "teacher_code": list[str]},
}

STATE_FILES = "state.pt", "state.1.pt"  # the last state, and the one before


def settings_id(settings: Mapping[str, Any]) -> str:
    """Return 8 hex digits that identify settings; equal settings have equal digits."""
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def is_finished(folder: Path) -> bool:
    """Return whether a folder holds a finished run."""
    return (folder / "run.json").is_file() and read_record(folder)["status"] == "finished"


def discard_record(folder: Path) -> None:
    """Delete the record of a run whose results no longer exist."""
    for name in ("run.json", "metrics.jsonl", *STATE_FILES):
        (folder / name).unlink(missing_ok=True)


def check_outputs(folder: Path, expected: Mapping[str, int]) -> None:
    """Raise `OperationError` if a finished run lacks files, given their numbers by pattern."""
    for pattern, number in expected.items():
        found = sum(1 for _ in folder.glob(pattern))
        if found < number:
            raise OperationError(
                f"{folder} holds a finished run, but {found} of {number} files {pattern} are "
                f"there. Delete the folder, and run the command again."
            )


def make_record(
    command: str, settings: Mapping[str, Any], start: float, **details: Any
) -> dict[str, Any]:
    """Return the record of a command without a run folder.

    Args:
        command: Name of the command.
        settings: Settings of the command.
        start: When it started, from `time.monotonic`.
        details: Further entries of the record.
    """
    record = {
        "command": command,
        "id": settings_id(settings),
        "settings": dict(settings),
        "status": "finished",
    }
    return record | {"seconds": time.monotonic() - start, **details, **environment()}


def read_record(folder: str | Path) -> dict[str, Any]:
    """Return the record of a run folder, which may come from a stranger."""
    path = expand(folder) / "run.json"
    with reraise_os_errors("read"):
        if not path.is_file():
            raise UsageError(f"There is no run in {folder}: it has no run.json.")
    record: dict[str, Any] = read_json(path)
    if not isinstance(record, dict) or not RECORD.keys() <= record.keys():
        raise OperationError(
            f"{path} is not the record of a run: it lacks settings, status, command or seconds."
        )
    check_entries(record, str(path), RECORD, OPTIONAL)
    for extension in record.get("extensions", []):
        check_entries(extension, str(path), {"steps": int, "from": str})
    return record


def read_metrics(folder: str | Path) -> list[dict[str, Any]]:
    """Return the lines of a run's metrics.jsonl; skip what is damaged, such as a line cut off."""
    path = expand(folder) / "metrics.jsonl"
    return [
        row
        for row in (read_lines(path) if path.is_file() else ())
        if all(_is_number(row[name]) for name in row.keys() - TEXTS)
    ]


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects in the lines of a metrics.jsonl; skip empty lines and what is damaged.

    Raises:
        OperationError: Many lines are damaged: to find that out takes long for each.
    """
    damaged = 0
    with reraise_os_errors("read"), path.open("rb") as file:
        for line in filter(bytes.strip, file):
            row: Any = None
            with suppress(ValueError, RecursionError):
                row = json.loads(line)
            if isinstance(row, dict):
                yield row
                continue
            damaged += 1
            if damaged > MOST_DAMAGED:
                raise OperationError(
                    f"{path} is damaged: more than {MOST_DAMAGED} of its lines are no JSON "
                    f"objects. Copy it again."
                )


def _is_number(value: object) -> bool:
    """Return whether a logged value can be drawn; NaN counts."""
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**63)
