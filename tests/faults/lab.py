"""The folder of all trials: inputs, the results of undisturbed runs, and work in progress."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frami.core import run
from tests.faults import children, inputs
from tests.faults.children import Child
from tests.faults.digests import broken_store, describe_difference, digest_folder
from tests.faults.jobs import Job, list_jobs

INTERVALS = (0.0, 0.3, 20.0)  # seconds between saved states


@dataclass(frozen=True)
class Reference:
    """What an undisturbed run of a job was like.

    Attributes:
        seconds: Time of each command.
        calls: Number of calls of each command that rename, delete or sync a file.
        size: Bytes that it leaves behind.
        digests: Digests of the files that it leaves behind.
    """

    seconds: list[float]
    calls: list[int]
    size: int
    digests: dict[str, str]


class Lab:
    """A folder in which jobs are disturbed.

    Attributes:
        root: The folder.
        jobs: The jobs.
    """

    def __init__(self, root: Path) -> None:
        """Make the inputs if they are missing, and start the server; call `close` at the end."""
        children.import_all()
        self.root = root.absolute()
        self._archive = inputs.archive()
        server = inputs.SlowServer(self._archive)
        self._server = os.fork()
        if self._server == 0:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            server.serve_forever()
        self.jobs = list_jobs(f"http://127.0.0.1:{server.server_port}")
        server.server_close()
        self._references: dict[str, Reference] = {}
        self.root.mkdir(parents=True, exist_ok=True)
        if not (self.root / "inputs").is_dir():
            self._make_inputs()

    def close(self) -> None:
        """Stop the server."""
        os.kill(self._server, signal.SIGKILL)
        os.waitpid(self._server, 0)

    def _make_inputs(self) -> None:
        part = self.root / "inputs.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        maker = children.start(
            ["--version"], part, self.root / "inputs.log", lambda: inputs.make_inputs(part)
        ).finish()
        if maker.code:
            raise RuntimeError(maker.printed)
        part.rename(self.root / "inputs")

    def start(
        self,
        job: Job,
        position: int,
        folder: Path,
        *changes: Callable[[], None],
        interval: float = 20.0,
        name: str = "",
    ) -> Child:
        """Start a command of a job in a folder, with some changes to its process."""

        def prepare() -> None:
            os.environ |= {"FRAMI_CACHE": "off"}
            inputs.make_tiny()
            inputs.publish(self._archive)
            run.SECONDS_BETWEEN_CHECKPOINTS = interval
            for change in changes:
                change()

        log = self.root / f"{folder.name}{name}.log"
        return children.start(job.commands[position], folder, log, prepare)

    def reference(self, job: Job) -> Reference:
        """Return what an undisturbed run is like; it is made once."""
        path = self.whole(job).with_suffix(".json")
        if job.name not in self._references and not path.is_file():
            self._make_reference(job, path)
        if job.name not in self._references:
            self._references[job.name] = Reference(**json.loads(path.read_text()))
        return self._references[job.name]

    def whole(self, job: Job) -> Path:
        """Return the folder of the undisturbed run."""
        return self.root / f"whole-{_plain(job.name)}"

    def _make_reference(self, job: Job, path: Path) -> None:
        folder = self.whole(job)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        seconds, calls = [], []
        for position in range(len(job.commands)):
            counts = self.root / "calls"
            counts.unlink(missing_ok=True)
            began = time.monotonic()
            count = _counting(counts)
            child = self.start(job, position, folder, count, interval=0.0).finish()
            seconds.append(time.monotonic() - began)
            calls.append(counts.stat().st_size)
            if child.code:
                raise RuntimeError(f"{job.name}: {child.printed}")
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        content: dict[str, Any] = {"seconds": seconds, "calls": calls, "size": size}
        content["digests"] = digest_folder(folder)
        path.write_text(json.dumps(content))

    def new_folder(self, job: Job, kind: str, index: int) -> Path:
        """Return an empty folder for a trial."""
        folder = self.root / f"{_plain(job.name)}-{_plain(kind)}-{index}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def broken(self, job: Job, folder: Path) -> str:
        """Return what is broken after an interruption; empty if nothing is."""
        for name in job.stores:
            if problem := broken_store(folder / name, self.whole(job) / name):
                return problem
        return ""

    def finish(self, job: Job, folder: Path, first: int = 0) -> str:
        """Run the commands from one on to their end; return how the result differs."""
        for position in range(first, len(job.commands)):
            child = self.start(job, position, folder, name="-end").finish()
            if not is_done(child):
                return f"exit code {child.code}: {last_line(child)}"
        return describe_difference(self.reference(job).digests, digest_folder(folder))

    def clean(self, folder: Path) -> None:
        """Delete the folder of a trial and what its commands printed."""
        shutil.rmtree(folder, ignore_errors=True)
        for log in self.root.glob(f"{folder.name}*.log"):
            with suppress(OSError):
                log.unlink()


def interval(rng: random.Random) -> float:
    """Return some seconds between saved states."""
    return rng.choice(INTERVALS)


def last_line(child: Child) -> str:
    """Return the last line that a command printed."""
    return (child.printed.strip().splitlines() or ["nothing printed"])[-1][-300:]


def is_done(child: Child) -> bool:
    """Return whether a command has done its work, or finds it done: merge never writes twice."""
    return child.code == 0 or (child.code == 2 and "exists already" in last_line(child))


def traceback_of(child: Child) -> str:
    """Return a complaint if a command ended in a traceback or called its error a bug."""
    text = child.printed
    return last_line(child) if "Traceback" in text or "a bug in frami" in text else ""


def _counting(path: Path) -> Callable[[], None]:
    return lambda: children.count_writes(path)


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)
