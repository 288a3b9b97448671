"""The record that every command leaves: run.json, metrics.jsonl, and the state from which cut-off work goes on."""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import torch

from frami.core import files
from frami.core.errors import OperationError, UsageError
from frami.core.meter import Meter

SECONDS_BETWEEN_CHECKPOINTS = 20.0
LOCK_FILE = "at-work"
PACKAGES = ("frami", "torch", "torchaudio", "numpy", "h5py", "soundfile", "safetensors")


def settings_id(settings: Mapping[str, Any]) -> str:
    """Return 8 hex digits of the settings; equal settings, equal digits."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[
        :8
    ]


def environment() -> dict[str, Any]:
    """Return versions, machine and commit, for the record."""
    commit = ""
    source = Path(__file__).resolve().parents[2]
    if (source / ".git").exists():
        ask = ["git", "-C", str(source), "describe", "--always", "--dirty", "--abbrev=12"]
        with suppress(OSError):  # a machine without git
            commit = subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()
    count = torch.get_num_threads()
    threads = "1 thread" if count == 1 else f"{count} threads"
    return {
        "versions": {"python": platform.python_version()}
        | {p: importlib.metadata.version(p) for p in PACKAGES},
        "machine": f"{platform.machine()}, {threads}, {torch.backends.cpu.get_cpu_capability()}",
        "commit": commit,
    }


def is_finished(folder: Path) -> bool:
    """Tell whether a folder holds a run that is finished."""
    return (folder / "run.json").is_file() and read_record(folder)["status"] == "finished"


def discard_record(folder: Path) -> None:
    """Take away the record of a run whose work is gone."""
    for name in ("run.json", "metrics.jsonl", "state.pt"):
        if (folder / name).is_file():
            (folder / name).unlink()


class Run:
    """A run folder.

    Work with the same settings in the same folder goes on where it was; other settings are refused, and so is what
    another program has put there, so that nothing is overwritten. Work is done within a ``with``: until it ends, nobody else
    works in the folder.

    Attributes:
        folder: Where the record is.
        finished: Whether the work was done already; never so for work that ``grows``, of which more can be asked.
    """

    def __init__(
        self,
        folder: Path,
        command: str,
        settings: Mapping[str, Any],
        *,
        grows: bool = False,
        writes: Sequence[str] = (),
        recordings: str = "",
        **facts: Any,
    ) -> None:
        """Begin a run, or go on with it.

        Args:
            folder: Where its record is to be.
            command: What is done.
            settings: What comes out depends on these alone.
            grows: Whether more can be asked for later.
            writes: What the work will write into the folder; without a record, none of it may be there.
            recordings: Fingerprint of what it learns from; equal settings may name other files by now.
            facts: For the record.

        Raises:
            WrongUse: the folder holds a run with other settings or of other recordings, or files of no run, or another process
                works in it.
        """
        self.folder = files.ensure_dir(folder)
        self._grows = grows
        self._record = self.folder / "run.json"
        self._saved = -float("inf")
        self._lock: int | None = None
        # As JSON gives it back: a tuple becomes a list.
        settings = json.loads(json.dumps(dict(settings), default=str))
        before = self._before(settings, writes, recordings)
        if grows or before is None or before["status"] != "finished":
            self._lock = files.acquire_lock(self.folder / LOCK_FILE, f"is at work in {self.folder}")
        with ExitStack() as undone:
            undone.push(self)
            if self._lock is not None:  # meanwhile another process may have finished it
                before = self._before(settings, writes, recordings)
            self.finished = before is not None and before["status"] == "finished" and not grows
            self.content = before or {
                "command": command,
                "id": settings_id(settings),
                "settings": settings,
                "seconds": 0.0,
            }
            # Sittings that were cut off count up to their last state.
            self._meter = Meter(
                *(self.content.get(name, 0) for name in ("seconds", "cpu_seconds", "peak_memory"))
            )
            if not self.finished:
                of = {"recordings": recordings} if recordings else {}
                self.content |= {"status": "running", **of, **facts, **environment()}
                files.write_json(self._record, self.content)
            undone.pop_all()

    def _before(
        self, settings: Mapping[str, Any], writes: Sequence[str], recordings: str
    ) -> dict[str, Any] | None:
        """Return the record that is there, if it is of the same work."""
        before = read_record(self.folder) if self._record.is_file() else None
        strange = [name for name in writes if before is None and (self.folder / name).exists()]
        if strange:
            raise UsageError(
                f"{self.folder} holds a {strange[0]} of no run, which would be lost; choose another --out."
            )
        if before is not None and before["settings"] != settings:
            changed = [
                n
                for n in {**settings, **before["settings"]}
                if settings.get(n) != before["settings"].get(n)
            ]
            raise UsageError(
                f"{self.folder} holds a run with other settings ({', '.join(sorted(changed)[:4])}); "
                f"choose another --out, or repeat those settings to go on with it."
            )
        # Records of an earlier version do not say.
        if before is not None and before.get("recordings", recordings) != recordings:
            raise UsageError(
                f"{self.folder} holds a run of other recordings than these; choose another --out."
            )
        return before

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        """Let others in, whether the work is finished or was interrupted."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def log(self, **values: Any) -> None:
        """Append one line to metrics.jsonl."""
        with (
            files.reraise_os_errors(),
            (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file,
        ):
            file.write(json.dumps(values) + "\n")

    def rewind(self, place: str, last: int) -> None:
        """Drop the lines of metrics.jsonl beyond a step or a round: what is done again is logged again."""
        if not (self.folder / "metrics.jsonl").is_file():
            return
        lines = [json.dumps(row) + "\n" for row in read_metrics(self.folder) if row[place] <= last]
        files.write_bytes(self.folder / "metrics.jsonl", "".join(lines).encode())

    def save(self, state: Callable[[], Mapping[str, Any]], *, always: bool = False) -> None:
        """Write the state to go on from; at most every 20 s, unless ``always``."""
        if not always and time.monotonic() - self._saved < SECONDS_BETWEEN_CHECKPOINTS:
            return
        buffer = io.BytesIO()
        torch.save(dict(state()), buffer)
        files.write_bytes(self.folder / "state.pt", buffer.getvalue())
        self._saved = time.monotonic()
        self.content |= self._meter.read()
        files.write_json(self._record, self.content)

    def state(self) -> dict[str, Any] | None:
        """Return the state that was saved last, or None."""
        path = self.folder / "state.pt"
        if self.finished or not path.is_file():
            return None
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise OperationError(
                f"{path} cannot be read ({error}); delete it to begin anew."
            ) from error

    def finish(self, **scores: Any) -> None:
        """Write the scores and take away the state, unless more can be asked for."""
        self.content |= {"status": "finished", **self._meter.read(), "scores": scores}
        files.write_json(self._record, self.content)
        if not self._grows:
            (self.folder / "state.pt").unlink(missing_ok=True)
            self.finished = True
        (self.folder / LOCK_FILE).unlink(missing_ok=True)


def make_record(
    command: str, settings: Mapping[str, Any], began: float, **facts: Any
) -> dict[str, Any]:
    """Return the record of a command that is done at once and keeps no folder; ``began`` is of `time.monotonic`."""
    record = {
        "command": command,
        "id": settings_id(settings),
        "settings": dict(settings),
        "status": "finished",
    }
    return record | {"seconds": time.monotonic() - began, **facts, **environment()}


def read_record(folder: str | Path) -> dict[str, Any]:
    """Return the record of a run folder."""
    path = Path(folder) / "run.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"There is no run in {folder}: it has no run.json.") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise OperationError(f"{path} is not readable JSON ({error}).") from error
    if (
        not isinstance(record, dict)
        or not {"settings", "status", "command", "seconds"} <= record.keys()
    ):
        raise OperationError(
            f"{path} is no record of a run: it lacks settings, status, command or seconds."
        )
    return record


def read_metrics(folder: str | Path) -> list[dict[str, Any]]:
    """Return the lines of a run's metrics.jsonl; a last line that was cut off is left out."""
    path = Path(folder) / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    rows = []
    for line in lines:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows
