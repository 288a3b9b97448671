"""A command of frami as a job: it runs in a process, and goes on in another one later."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from frami.core.errors import Stopped, UsageError

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_TO_STOP = 60.0  # the signal comes 90 s before the time limit


@dataclass
class Job:
    """A command of frami as a job of submitit, which calls it in the job's process.

    Attributes:
        words: The words after ``frami``.
        cpus: Number of CPU cores, and of threads.
    """

    words: tuple[str, ...]
    cpus: int = 1
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def __call__(self) -> None:
        """Run the command; if its time was over (exit code 75), have the job submitted again."""
        environment = {"OMP_NUM_THREADS": str(self.cpus), **os.environ}
        command = [sys.executable, "-P", "-m", "frami", *self.words]
        self._process = subprocess.Popen(command, env=environment)
        # `wait` would hold a lock that `checkpoint`, called in a signal handler, needs.
        while (code := self._process.poll()) is None:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        if code == Stopped.exit_code:
            name = os.environ.get("SUBMITIT_PREEMPT_SIGNAL", "USR2")
            os.kill(os.getpid(), getattr(signal, f"SIG{name}"))
        if code:
            raise SystemExit(code)

    def checkpoint(self) -> Any:
        """Stop the command, whose finished work is kept; return the job to submit again.

        submitit calls it when the cluster needs the machine, or before the time limit.
        """
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                self._process.kill()
        return import_submitit().helpers.DelayedSubmission(Job(self.words, self.cpus))


def import_submitit() -> Any:
    """Return the module submitit.

    Raises:
        UsageError: The extra ``cluster`` is not installed.
    """
    try:
        return importlib.import_module("submitit")
    except ImportError as error:
        from frami.core.environment import install_command

        raise UsageError(
            f"Jobs need submitit ({error}). Type: {install_command('cluster')}"
        ) from error
