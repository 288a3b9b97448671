"""Give inputs to worker processes, kill one that takes too long, and count the outcomes."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECONDS_PER_INPUT = 5.0
SECONDS_TO_START = 300.0  # imports, and the samples of a kind
INPUTS_PER_TURN = 500
GOOD = ("read", "refused")


@dataclass
class State:
    """What was tried until now.

    Attributes:
        next: Number of the next input, by kind.
        counts: Number of inputs by kind, then by outcome.
        failures: ``kind number: what happened`` of the inputs that were neither read nor refused.
    """

    next: dict[str, int] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Number of inputs that were tried."""
        return sum(self.next.values())

    @classmethod
    def load(cls, path: Path | None) -> State:
        """Return the state in a file, or a new one."""
        return cls(**json.loads(path.read_text())) if path and path.is_file() else cls()

    def save(self, path: Path | None) -> None:
        """Write the state, so that another call goes on there."""
        if path is not None:
            part = path.with_suffix(".part")
            part.write_text(json.dumps(asdict(self), indent=1) + "\n")
            part.replace(path)

    def count(self, kind: str, number: int, outcome: str) -> None:
        """Add the outcome of an input."""
        counts = Counter(self.counts.get(kind, {}))
        counts[outcome if outcome in GOOD else "failed"] += 1
        self.counts[kind] = dict(counts)
        self.next[kind] = number + 1
        if outcome not in GOOD:
            self.failures.append(f"{kind} {number}: {outcome}")


class Worker:
    """A worker process; it is started again after it was killed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = ""
        self._known: set[str] = set()

    def read(self, kind: str, number: int) -> str:
        """Return the outcome of an input."""
        if self._process is None:
            self._start()
        assert self._process is not None and self._process.stdin is not None
        allowed = SECONDS_PER_INPUT if kind in self._known else SECONDS_TO_START
        self._process.stdin.write(f"{kind} {number}\n".encode())
        self._process.stdin.flush()
        start = time.monotonic()
        answer = self._answer(allowed)
        if answer is None:
            seconds = time.monotonic() - start
            try:
                status: int | None = self._process.wait(1)
            except subprocess.TimeoutExpired:
                status = None
            self.close()
            return f"hung for {seconds:.0f} s" if status is None else f"crashed with {status}"
        self._known.add(kind)
        return answer

    def _answer(self, allowed: float) -> str | None:
        assert self._process is not None and self._process.stdout is not None
        before, start, ready = self._seconds_used(), time.monotonic(), False
        # On a busy machine, an input may take longer than the processor works on it.
        while not ready and time.monotonic() - start < 20 * allowed:
            ready = bool(select.select([self._process.stdout], [], [], allowed)[0])
            if self._seconds_used() - before > allowed:
                break
        line = self._process.stdout.readline() if ready else b""
        return line.decode().rstrip("\n") if line else None

    def _seconds_used(self) -> float:
        """Return the time that processors have worked on the process."""
        assert self._process is not None
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _start(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="frami-fuzz-")
        self._known = set()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.worker", self._folder],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )

    def close(self) -> None:
        """End the process and delete its files."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()
            self._process = None
            shutil.rmtree(self._folder, ignore_errors=True)


def run(kinds: Sequence[str], inputs: int, state: State, path: Path | None = None) -> None:
    """Try inputs of all kinds in turn until ``inputs`` were tried in all."""
    worker = Worker()
    per_kind = -(-inputs // len(kinds))
    try:
        while any(state.next.get(kind, 0) < per_kind for kind in kinds):
            for kind in kinds:
                first = state.next.get(kind, 0)
                for number in range(first, min(first + INPUTS_PER_TURN, per_kind)):
                    state.count(kind, number, worker.read(kind, number))
                state.save(path)
                print(f"{state.total:,} inputs, {len(state.failures)} failed", end="\r", flush=True)
    finally:
        state.save(path)
        worker.close()


def table(state: State) -> str:
    """Return the counts as a table in Markdown."""
    rows = ["| kind | inputs | read | refused | failed |", "|---|---|---|---|---|"]
    for kind, counts in state.counts.items():
        numbers = [sum(counts.values()), *(counts.get(name, 0) for name in (*GOOD, "failed"))]
        rows.append(f"| {kind} | " + " | ".join(f"{number:,}" for number in numbers) + " |")
    return "\n".join(rows)
