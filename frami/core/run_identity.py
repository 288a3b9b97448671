"""Whether the run in a folder used the recordings, clips and machine that are there now."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from frami.core.errors import UsageError
from frami.core.run_record import read_record
from frami.core.settings import describe_differences
from frami.core.warn import warn


def check_same_data(folder: Path, recorded: str, present: str) -> None:
    """Refuse a run of other recordings or clips, though they may have the same names."""
    if recorded != present:
        raise UsageError(
            f"{folder} holds a run of other recordings than these, or of other clips, perhaps with "
            f"the same names. Choose another `out`, or restore them to resume the run."
        )


def warn_of_other_machine(
    folder: Path, record: Mapping[str, Any], present: Mapping[str, Any]
) -> None:
    """Warn if a run goes on with another number of threads, or on another kind of processor."""
    before, now = record.get("machine"), present["machine"]
    if before is not None and before != now:
        warn(
            f"The run in {folder} began on {before} and goes on with {now}. They round sums "
            f"differently, so the result is not bit for bit that of an undisturbed run."
        )


def matching_record(
    folder: Path, settings: Mapping[str, Any], writes: Sequence[str], recordings: str | None = None
) -> dict[str, Any] | None:
    """Return the record in a folder, or None; refuse a record of different work.

    Without ``recordings``, those of the record are not compared.
    """
    if not (folder / "run.json").is_file():
        foreign = [name for name in writes if (folder / name).exists()]
        if foreign:
            raise UsageError(
                f"{folder} holds {foreign[0]}, but no record of a run. "
                f"Choose another `out`, so that nothing is overwritten."
            )
        return None
    record = read_record(folder)
    settings = json.loads(json.dumps(dict(settings), default=str))
    if record["settings"] != settings:
        raise UsageError(
            f"{folder} holds a run with other settings "
            f"({describe_differences(record['settings'], settings)}). "
            f"Choose another `out`, or repeat those settings to resume the run."
        )
    if recordings is not None:
        check_same_data(folder, record.get("recordings", ""), recordings)
    return record
