"""Read run.json and metrics.jsonl, which may come from a stranger."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from frami.core.errors import OperationError, UsageError
from frami.core.json_files import check_entries, read_json

# Types of the entries of run.json.
RECORD = {"settings": dict, "status": str, "command": str, "seconds": float}
OPTIONAL = {
    **{
        "scores": dict,
        "versions": dict[str, str],
        "extensions": list[dict[str, Any]],
        "recordings": str,
    },
    **{"cpu_seconds": float, "peak_memory": float, "teacher_code": list[str]},
}


def read_record(folder: str | Path) -> dict[str, Any]:
    """Return the record of a run folder."""
    path = Path(folder) / "run.json"
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
    path = Path(folder) / "metrics.jsonl"
    lines = path.read_bytes().splitlines() if path.is_file() else []
    rows = []
    for line in lines:
        with suppress(ValueError, RecursionError):
            row = json.loads(line)
            if isinstance(row, dict) and all(map(_is_number, row.values())):
                rows.append(row)
    return rows


def _is_number(value: object) -> bool:
    """Return whether a logged value can be drawn; NaN counts."""
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**63)
