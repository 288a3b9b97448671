"""What a run chose for its minutes; its record keeps it for a resumed run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from frami.core.run import read_record

RECORD_KEY = "time_budget"


def recorded_choice(folder: Path) -> dict[str, Any]:
    """Return what the run in a folder chose for its minutes; empty without a run or a choice."""
    if not (folder / "run.json").is_file():
        return {}
    choice: dict[str, Any] = read_record(folder).get(RECORD_KEY, {})
    return choice
