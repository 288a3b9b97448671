"""Run folders: the record run.json, the log metrics.jsonl and the states to resume from."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from frami.core import files, locks
from frami.core.environment import environment
from frami.core.extension import extend_record
from frami.core.meter import Meter
from frami.core.run_identity import matching_record as matching_record
from frami.core.run_identity import warn_of_other_machine
from frami.core.run_record import STATE_FILES
from frami.core.run_record import check_outputs as check_outputs
from frami.core.run_record import discard_record as discard_record
from frami.core.run_record import is_finished as is_finished
from frami.core.run_record import make_record as make_record
from frami.core.run_record import read_metrics as read_metrics
from frami.core.run_record import read_record as read_record
from frami.core.run_record import settings_id as settings_id
from frami.core.states import read_state, write_state
from frami.core.stopping import NEVER, Deadline
from frami.core.trackers import LogCallback, ignore, pass_on

SECONDS_BETWEEN_CHECKPOINTS = 20.0
LOCK_FILE = "at-work"


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
        log: LogCallback = ignore,
        deadline: Deadline = NEVER,
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
            recordings: Fingerprint of the training recordings, or of the clips of a store.
            log: Called with all values that the run logs.
            deadline: When `save` stops the work.
            details: Further entries of the record.

        Raises:
            UsageError: The folder holds a run with other settings or recordings, the folder holds
                files that belong to no run, or another process works in it.
        """
        self.folder = files.ensure_dir(folder)
        self._grows, self._keeps_state = grows, keeps_state or grows
        self._record = self.folder / "run.json"
        self._saved, self._log, self._deadline = -float("inf"), log, deadline
        self._lock: int | None = None
        # In the form that JSON returns: a tuple becomes a list.
        settings = json.loads(json.dumps(dict(settings), default=str))
        work = (self.folder, settings, writes, recordings)
        previous = extend_record(self.folder, matching_record(*work), more_steps)
        if grows or previous is None or previous["status"] != "finished":
            self._lock = locks.acquire_lock(self.folder / LOCK_FILE, f"is at work in {self.folder}")
        with ExitStack() as on_error:
            on_error.push(self)
            if self._lock is not None:  # another process may have finished it meanwhile
                previous = extend_record(self.folder, matching_record(*work), more_steps)
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
                present = environment()
                warn_of_other_machine(self.folder, self.content, present)
                self.content |= {"status": "running", **source, **details, **present}
                files.write_json(self._record, self.content)
            on_error.pop_all()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        """Release the folder, whether the work is finished or was interrupted."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def log(self, **values: Any) -> None:
        """Append one line to metrics.jsonl, and pass it to the callback of the run."""
        path = self.folder / "metrics.jsonl"
        with (
            files.reraise_os_errors(),
            open(path, "a", encoding="utf-8", opener=files.open_below) as file,
        ):
            file.write(json.dumps(values) + "\n")
        pass_on(self._log, values)

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

    def save(
        self, state: Callable[[], Mapping[str, Any]], *, always: bool = False, left: str = ""
    ) -> None:
        """Write the state to resume from; at most every 20 s, unless ``always``.

        Args:
            state: Returns the state.
            always: Write it, however short ago it was written.
            left: What is left to do, in words; empty at the end.

        Raises:
            Stopped: The deadline has passed, and something is left to do. The state is saved.
        """
        stops = bool(left) and self._deadline.has_passed
        since = time.monotonic() - self._saved
        if not (always or stops) and since < SECONDS_BETWEEN_CHECKPOINTS:
            return
        write_state(self.folder, state())
        self._saved = time.monotonic()
        self.content |= self._meter.read()
        files.write_json(self._record, self.content)
        if stops:
            raise self._deadline.stop(left)

    def state(self) -> dict[str, Any] | None:
        """Return the last saved state that is whole, or None."""
        return None if self.finished else read_state(self.folder)

    def finish(self, **scores: Any) -> None:
        """Write the scores; delete the saved state, unless a later call may need it."""
        self.content |= {"status": "finished", **self._meter.read(), "scores": scores}
        last, before = (self.folder / name for name in STATE_FILES)
        if not self._grows:  # an extension must not fall back behind the finished run
            before.unlink(missing_ok=True)
        files.write_json(self._record, self.content)
        if not self._keeps_state:
            last.unlink(missing_ok=True)
        self.finished = not self._grows
        (self.folder / LOCK_FILE).unlink(missing_ok=True)
