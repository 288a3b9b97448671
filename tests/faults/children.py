"""Run commands of frami in forked processes that have imported everything already."""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import frami
from frami import cli

LATE = ("h5py", "onnx", "onnxscript", "onnxruntime", "scipy.stats", "sklearn.metrics", "pooch")
TOO_LONG = 300.0
Prepare = Callable[[], None]


def import_all() -> None:
    """Import what commands import when they run, so that a child starts at once."""
    for module in pkgutil.walk_packages(frami.__path__, "frami."):
        if module.name != "frami.__main__" and not module.name.startswith("frami.bench.foreign."):
            importlib.import_module(module.name)
    for name in LATE:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


@dataclass
class Child:
    """A running command.

    Attributes:
        pid: Its process.
        log: File of what it prints.
        code: Exit code, negative for a signal; None while it runs.
    """

    pid: int
    log: Path
    code: int | None = None

    @property
    def printed(self) -> str:
        """What it has printed so far."""
        if not self.log.is_file():  # killed before it began
            return ""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def poll(self) -> bool:
        """Return whether it has ended."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    def wait(self, seconds: float = TOO_LONG) -> bool:
        """Wait for its end, at most some seconds; return whether it has ended."""
        end = time.monotonic() + seconds
        while not self.poll() and time.monotonic() < end:
            time.sleep(0.001)
        return self.poll()

    def send(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if not self.poll():
            os.kill(self.pid, number)

    def finish(self) -> Child:
        """Wait for its end; kill it if it takes too long."""
        if not self.wait():
            self.send(signal.SIGKILL)
            self.wait()
            with self.log.open("a", encoding="utf-8") as file:
                file.write("\nTraceback: it hung and was killed\n")
        return self


def start(words: Sequence[str], folder: Path, log: Path, prepare: Prepare = lambda: None) -> Child:
    """Start a command in a folder.

    Args:
        words: The command without ``frami``.
        folder: Its working folder.
        log: File for what it prints.
        prepare: Called in the child before the command.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _run(words, folder, log, prepare)
    return Child(pid, log)


def _run(words: Sequence[str], folder: Path, log: Path, prepare: Prepare) -> NoReturn:
    code = 99
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(folder)
        random.seed()
        prepare()
        sys.argv = ["frami", *words]
        cli.main()
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    except KeyboardInterrupt:  # before or after the command itself
        code = 130
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def count_writes(calls: Path, last: int = 0, after: bool = False) -> None:
    """Note every call that renames, deletes, links or syncs a file; kill the process at one.

    Args:
        calls: File that gets one byte for each call.
        last: Number of the call to die at, from 1; 0 never.
        after: Die after the call, not before it.
    """
    descriptor = os.open(calls, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any, **keywords: Any) -> Any:
            os.write(descriptor, b".")
            dies = os.fstat(descriptor).st_size == last
            if dies and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return call(*arguments, **keywords)
            finally:
                if dies:
                    os.kill(os.getpid(), signal.SIGKILL)

        return counting

    for name in ("replace", "rename", "unlink", "link", "fsync", "mkdir", "rmdir"):
        setattr(os, name, counted(getattr(os, name)))


def limit_files(size: int) -> None:
    """Let no file become larger than some bytes, as if the disk were full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def jumping_clock() -> None:
    """Let the clock jump by up to a year, forward and back, at every look."""
    true = time.time
    jumps = random.Random(0)
    time.time = lambda: true() + jumps.uniform(-3e7, 3e7)
    time.time_ns = lambda: int(1e9 * time.time())
