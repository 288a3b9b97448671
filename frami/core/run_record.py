"""The record of a run, run.json, and its log, metrics.jsonl."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from frami.core import files
from frami.core.environment import environment
from frami.core.errors import OperationError, UsageError
from frami.core.files import expand

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
    """Return the record of a run folder."""
    path = expand(folder) / "run.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"There is no run in {folder}: it has no run.json.") from error
    except OSError as error:
        raise OperationError(files.describe_os_error(error, "read", path)) from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise OperationError(f"{path} is not readable JSON ({error}).") from error
    required = {"settings", "status", "command", "seconds"}
    if not isinstance(record, dict) or not required <= record.keys():
        raise OperationError(
            f"{path} is not the record of a run: it lacks settings, status, command or seconds."
        )
    return record


def read_metrics(folder: str | Path) -> list[dict[str, Any]]:
    """Return the lines of a run's metrics.jsonl; skip a last line that was cut off."""
    path = expand(folder) / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    rows = []
    for line in lines:
        with suppress(json.JSONDecodeError):
            rows.append(json.loads(line))
    return rows
