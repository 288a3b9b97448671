"""Run folders: the record run.json, the log metrics.jsonl and the state to resume from."""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from frami.core import files
from frami.core.environment import environment
from frami.core.errors import OperationError, UsageError
from frami.core.extension import extend_record
from frami.core.meter import Meter
from frami.core.run_files import read_metrics as read_metrics
from frami.core.run_files import read_record as read_record
from frami.core.settings import describe_differences

SECONDS_BETWEEN_CHECKPOINTS = 20.0
LOCK_FILE = "at-work"


def settings_id(settings: Mapping[str, Any]) -> str:
    """Return 8 hex digits that identify settings; equal settings have equal digits."""
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def is_finished(folder: Path) -> bool:
    """Return whether a folder holds a finished run."""
    return (folder / "run.json").is_file() and read_record(folder)["status"] == "finished"


def discard_record(folder: Path) -> None:
    """Delete the record of a run whose results no longer exist."""
    for name in ("run.json", "metrics.jsonl", "state.pt"):
        (folder / name).unlink(missing_ok=True)


class Run:
    """A run folder, used in a ``with`` block.

    A second run with the same settings in the same folder resumes the first. A folder with other
    settings, or with files of another program, is refused, so that nothing is overwritten. Until
    the block ends, no other process can work in the folder.

    Attributes:
        folder: Folder of the record.
        finished: Whether the work is finished. False for a run that ``grows``.
        content: Content of run.json.
    """

    def __init__(
        self,
        folder: Path,
        command: str,
        settings: Mapping[str, Any],
        *,
        grows: bool = False,
        keeps_state: bool = False,
        more_steps: int = 0,
        writes: Sequence[str] = (),
        recordings: str = "",
        **details: Any,
    ) -> None:
        """Start a run, or resume it.

        Args:
            folder: Folder of the record.
            command: Name of the command.
            settings: All settings that the result depends on.
            grows: A later call may extend the result.
            keeps_state: Keep the last state, so that a finished run can be extended.
            more_steps: Extend a finished run by this number of steps; 0 leaves it finished.
            writes: Files that the work writes. Without a record, none of them may exist.
            recordings: Fingerprint of the training recordings.
            details: Further entries of the record.

        Raises:
            UsageError: The folder holds a run with other settings or recordings, the folder holds
                files that belong to no run, or another process works in it.
        """
        self.folder = files.ensure_dir(folder)
        self._grows, self._keeps_state = grows, keeps_state or grows
        self._record = self.folder / "run.json"
        self._saved = -float("inf")
        self._lock: int | None = None
        # In the form that JSON returns: a tuple becomes a list.
        settings = json.loads(json.dumps(dict(settings), default=str))
        work = (settings, writes, recordings)
        previous = extend_record(self.folder, self._matching_record(*work), more_steps)
        if grows or previous is None or previous["status"] != "finished":
            self._lock = files.acquire_lock(self.folder / LOCK_FILE, f"is at work in {self.folder}")
        with ExitStack() as on_error:
            on_error.push(self)
            if self._lock is not None:  # another process may have finished it meanwhile
                previous = extend_record(self.folder, self._matching_record(*work), more_steps)
            self.finished = previous is not None and previous["status"] == "finished" and not grows
            self.content = previous or {
                **{"command": command, "id": settings_id(settings), "settings": settings},
                "seconds": 0.0,
            }
            # An interrupted session counts up to its last saved state.
            self._meter = Meter(
                *(self.content.get(name, 0) for name in ("seconds", "cpu_seconds", "peak_memory"))
            )
            if not self.finished:
                source = {"recordings": recordings} if recordings else {}
                self.content |= {"status": "running", **source, **details, **environment()}
                files.write_json(self._record, self.content)
            on_error.pop_all()

    def _matching_record(
        self, settings: Mapping[str, Any], writes: Sequence[str], recordings: str
    ) -> dict[str, Any] | None:
        """Return the existing record, or None; refuse a record of different work."""
        if not self._record.is_file():
            foreign = [name for name in writes if (self.folder / name).exists()]
            if foreign:
                raise UsageError(
                    f"{self.folder} holds {foreign[0]}, but no record of a run. "
                    f"Choose another `out`, so that nothing is overwritten."
                )
            return None
        record = read_record(self.folder)
        if record["settings"] != settings:
            raise UsageError(
                f"{self.folder} holds a run with other settings "
                f"({describe_differences(record['settings'], settings)}). "
                f"Choose another `out`, or repeat those settings to resume the run."
            )
        if record.get("recordings", "") != recordings:
            raise UsageError(
                f"{self.folder} holds a run of other recordings than these. Choose another `out`."
            )
        return record

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        """Release the folder, whether the work is finished or was interrupted."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def log(self, **values: Any) -> None:
        """Append one line to metrics.jsonl."""
        path = self.folder / "metrics.jsonl"
        with (
            files.reraise_os_errors(),
            open(path, "a", encoding="utf-8", opener=files.open_below) as file,
        ):
            file.write(json.dumps(values) + "\n")

    def rewind(self, counter: str, last: int) -> None:
        """Drop the lines of metrics.jsonl after a step or round: repeated work logs them again.

        Args:
            counter: Key that counts the lines: ``step`` or ``round``.
            last: Last value of the counter to keep.
        """
        path = self.folder / "metrics.jsonl"
        if path.is_file():
            rows = [row for row in read_metrics(self.folder) if row.get(counter, last + 1) <= last]
            files.write_bytes(path, "".join(json.dumps(row) + "\n" for row in rows).encode())

    def save(self, state: Callable[[], Mapping[str, Any]], *, always: bool = False) -> None:
        """Write the state to resume from; at most every 20 s, unless ``always``."""
        if not always and time.monotonic() - self._saved < SECONDS_BETWEEN_CHECKPOINTS:
            return
        buffer = io.BytesIO()
        torch.save(dict(state()), buffer)
        files.write_bytes(self.folder / "state.pt", buffer.getvalue())
        self._saved = time.monotonic()
        self.content |= self._meter.read()
        files.write_json(self._record, self.content)

    def state(self) -> dict[str, Any] | None:
        """Return the last saved state, or None."""
        path = self.folder / "state.pt"
        if self.finished or not path.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise OperationError(
                f"{path} cannot be read ({error}). Delete it to start again."
            ) from error
        return state

    def finish(self, **scores: Any) -> None:
        """Write the scores; delete the saved state, unless a later call may need it."""
        self.content |= {"status": "finished", **self._meter.read(), "scores": scores}
        files.write_json(self._record, self.content)
        if not self._keeps_state:
            (self.folder / "state.pt").unlink(missing_ok=True)
        self.finished = not self._grows
        (self.folder / LOCK_FILE).unlink(missing_ok=True)


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
