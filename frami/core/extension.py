"""Extensions of a finished run: more steps from its last state, recorded as a chain.

The record of a run lists its extensions in order. Each has the number of its ``steps`` and the
fingerprint of the model that it started ``from``. The last one may be unfinished.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from frami.core.errors import UsageError
from frami.core.text import count


def extend_record(
    folder: Path, record: Mapping[str, Any] | None, more_steps: int
) -> dict[str, Any] | None:
    """Return the record of a run, with a new extension if the run is finished.

    An interrupted extension is resumed, whether ``more_steps`` is given again or not. A finished
    extension is not repeated: the same number again adds nothing.

    Args:
        folder: Folder of the run.
        record: Its record, or None.
        more_steps: Number of steps to add; 0 adds none.

    Returns:
        The record, or None if there is none. Its status is ``finished`` if there is nothing to do.

    Raises:
        UsageError: There is no finished run to extend, or ``more_steps`` differs from that of an
            interrupted extension.
    """
    if not more_steps:
        return None if record is None else dict(record)
    if record is None or not (record["status"] == "finished" or record.get("extensions")):
        raise UsageError(
            f"{folder} holds no finished run that `more_steps` could extend. Leave it out to start "
            f"or to finish the run."
        )
    extensions = list(record.get("extensions", []))
    if is_done(record, more_steps):
        return dict(record)
    if record["status"] == "finished":
        start = record.get("scores", {}).get("fingerprint", "")
        extensions.append({"steps": more_steps, "from": start})
        return {**record, "extensions": extensions, "status": "running"}
    if extensions[-1]["steps"] != more_steps:
        raise UsageError(
            f"{folder} holds an interrupted extension of {count(extensions[-1]['steps'], 'step')}, "
            f"but `more_steps` is {more_steps}. Pass the same number to finish it."
        )
    return dict(record)


def is_done(record: Mapping[str, Any], more_steps: int) -> bool:
    """Return whether a run is finished, also after an extension by ``more_steps``.

    Args:
        record: Record of the run.
        more_steps: Number of steps to add; 0 adds none.
    """
    last = [one["steps"] for one in record.get("extensions", [])][-1:]
    return record["status"] == "finished" and more_steps in (0, *last)


def current_steps(record: Mapping[str, Any], steps: int) -> tuple[int, int]:
    """Return the steps done before the present work, and those of the present work.

    Args:
        record: Record of an unfinished run.
        steps: Number of steps of the run without extensions.
    """
    *earlier, last = [steps, *(one["steps"] for one in record.get("extensions", []))]
    return sum(earlier), last


def chain_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``extensions`` of a run, for the provenance of its model; empty without any."""
    return {"extensions": record["extensions"]} if "extensions" in record else {}
