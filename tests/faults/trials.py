"""The faults. Each trial disturbs a job, lets it finish, and says what was lost."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from tests.faults import children, disks
from tests.faults.children import Child
from tests.faults.jobs import Job
from tests.faults.lab import Lab, interval, is_done, last_line, traceback_of
from tests.faults.results import Outcome

MEGABYTE = 1 << 20
ENDS = {signal.SIGINT: 130, signal.SIGTERM: -signal.SIGTERM, signal.SIGKILL: -signal.SIGKILL}


Trial = Callable[[Lab, Job, Path, random.Random], Outcome]


def interrupted(
    number: signal.Signals, lab: Lab, job: Job, folder: Path, rng: random.Random
) -> Outcome:
    """Send a signal at random instants, up to three times."""

    def strike(position: int) -> Child:
        child = lab.start(job, position, folder, interval=interval(rng))
        child.wait(rng.uniform(0, 0.6 * lab.reference(job).seconds[position]))
        child.send(number)
        return child.finish()

    return _struck(lab, job, folder, rng.randint(1, 3), strike, ENDS[number])


def killed_at_a_write(lab: Lab, job: Job, folder: Path, rng: random.Random) -> Outcome:
    """Die just before or after a file is renamed, deleted, linked or synced, up to three times."""
    calls = lab.root / f"{folder.name}-calls.log"

    def strike(position: int) -> Child:
        calls.unlink(missing_ok=True)
        last = rng.randint(1, max(1, lab.reference(job).calls[position]))
        die = partial(children.count_writes, calls, last, rng.random() < 0.5)
        return lab.start(job, position, folder, die, interval=0.0).finish()

    return _struck(lab, job, folder, rng.randint(1, 3), strike, -signal.SIGKILL)


def _struck(
    lab: Lab, job: Job, folder: Path, planned: int, strike: Callable[[int], Child], end: int
) -> Outcome:
    """Strike the commands of a job, by their number, until it hit often enough; then go on.

    Args:
        lab: The lab.
        job: The job.
        folder: Its folder.
        planned: How often to hit.
        strike: Starts a command, disturbs it, and returns its process when it has ended.
        end: Exit code of a process that was hit.
    """
    outcome, position = Outcome(), 0
    while position < len(job.commands) and outcome.hits < planned:
        child = strike(position)
        if is_done(child):
            position += 1
            continue
        if child.code != end or traceback_of(child):
            return Outcome(outcome.hits, lost=f"exit code {child.code}: {last_line(child)}")
        outcome.hits += 1
        if problem := lab.broken(job, folder):
            return Outcome(outcome.hits, lost=problem)
    outcome.lost = lab.finish(job, folder, position)
    return outcome


def disk_full(lab: Lab, job: Job, folder: Path, rng: random.Random) -> Outcome:
    """Run on a disk that is too small; then make it large enough."""
    size = lab.reference(job).size
    room = int(rng.uniform(0.02, 1.0) * (size + (3 * MEGABYTE if job.stores else 0)))
    if not disks.can_mount():
        limit = partial(children.limit_files, int(rng.uniform(0, size)))
        return _fails_first(lab, job, folder, limit)
    with disks.disk(folder, room):
        return _fails_first(
            lab, job, folder, lambda: None, lambda: disks.resize(folder, 4 * size + 64 * MEGABYTE)
        )


def _fails_first(
    lab: Lab,
    job: Job,
    folder: Path,
    change: Callable[[], None],
    mend: Callable[[], None] = lambda: None,
) -> Outcome:
    """Run commands until one fails with a sentence; mend the cause, and finish."""
    outcome, position = Outcome(), 0
    while position < len(job.commands):
        child = lab.start(job, position, folder, change, interval=0.0).finish()
        if child.code:
            if child.code != 1 or traceback_of(child):
                return Outcome(1, lost=f"exit code {child.code}: {last_line(child)}")
            outcome = Outcome(1, 1, lost=lab.broken(job, folder))
            break
        position += 1
    mend()
    outcome.lost = outcome.lost or lab.finish(job, folder, position)
    return outcome


def read_only(lab: Lab, job: Job, folder: Path, rng: random.Random) -> Outcome:
    """Make the disk read-only at a random instant; then writable again."""
    if not disks.can_mount():
        return Outcome(skipped="needs the right to mount a disk")
    with disks.disk(folder, 4 * lab.reference(job).size + 64 * MEGABYTE):
        child = lab.start(job, 0, folder, interval=0.0)
        child.wait(rng.uniform(0, lab.reference(job).seconds[0]))
        outcome = Outcome()
        while not outcome.hits and not child.poll():  # refused while a file is being written
            child.send(signal.SIGSTOP)
            outcome.hits = int(disks.set_read_only(folder, True))
            child.send(signal.SIGCONT)
            time.sleep(rng.uniform(0, 0.01))
        child.finish()
        if child.code not in (0, 1) or traceback_of(child):
            return Outcome(outcome.hits, lost=f"exit code {child.code}: {last_line(child)}")
        outcome.refused = child.code
        outcome.lost = lab.broken(job, folder)
        disks.set_read_only(folder, False)
        outcome.lost = outcome.lost or lab.finish(job, folder)
        return outcome


def damaged_state(lab: Lab, job: Job, folder: Path, rng: random.Random) -> Outcome:
    """Kill the work after some states, change bytes of the last one, and go on."""
    child = lab.start(job, 0, folder, interval=0.0)
    while not child.poll() and not list(folder.rglob("state.pt")):
        time.sleep(0.002)
    child.wait(rng.uniform(0, 0.3 * lab.reference(job).seconds[0]))
    child.send(signal.SIGKILL)
    child.finish()
    states = sorted(folder.rglob("state.pt"))
    if not states or child.code == 0:
        return Outcome(skipped="no state was left" if child.code else "it was too fast")
    outcome = Outcome(len(states))
    for path in states:
        path.write_bytes(damage(path.read_bytes(), rng))
    again = lab.start(job, 0, folder, interval=0.0).finish()
    if again.code == 1 and "Delete it to start again" in last_line(again):
        outcome.refused = 1
        for path in states:
            if path.with_name("state.1.pt").is_file():
                outcome.lost = f"it did not fall back: {last_line(again)}"
            path.unlink(missing_ok=True)
    elif again.code:
        outcome.lost = f"exit code {again.code}: {last_line(again)}"
    outcome.lost = outcome.lost or lab.finish(job, folder)
    return outcome


def damage(content: bytes, rng: random.Random) -> bytes:
    """Return a file with some bytes changed, cut off, or zero."""
    changed, kind = bytearray(content), rng.randrange(3)
    if kind == 0:
        for _ in range(rng.randint(1, 64)):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del changed[rng.randrange(len(changed)) :]
    else:
        first = rng.randrange(len(changed))
        zeros = changed[first : first + 4096]
        changed[first : first + 4096] = bytes(len(zeros))
    return bytes(changed)


def two_at_once(lab: Lab, job: Job, folder: Path, rng: random.Random) -> Outcome:
    """Start the same command twice; the second is refused, or shares the work."""
    outcome = Outcome()
    for position, seconds in enumerate(lab.reference(job).seconds):
        first = lab.start(job, position, folder, name="-a")
        first.wait(rng.uniform(0, 0.6 * seconds))
        if first.poll():
            continue
        second = lab.start(job, position, folder, name="-b")
        outcome.hits += 1
        for child in (first.finish(), second.finish()):
            if child.code == 2 and "nother process" in last_line(child):
                outcome.refused += 1
            elif not is_done(child):
                outcome.lost = f"exit code {child.code}: {last_line(child)}"
                return outcome
    outcome.lost = lab.finish(job, folder)
    return outcome


def read_meanwhile(lab: Lab, job: Job, folder: Path, rng: random.Random) -> Outcome:
    """Read a store again and again while it is written, and kill the writer at last."""
    if not job.stores:
        return Outcome(skipped="writes no store")
    outcome = Outcome()
    child = lab.start(job, 0, folder, interval=interval(rng))
    until = time.monotonic() + rng.uniform(1, 5) * lab.reference(job).seconds[0]
    while not child.poll() and time.monotonic() < until and not outcome.lost:
        outcome.lost = lab.broken(job, folder)
        outcome.hits += any((folder / name).is_file() for name in job.stores)
        time.sleep(0.005)
    child.send(signal.SIGKILL)
    child.finish()
    outcome.lost = outcome.lost or lab.broken(job, folder) or lab.finish(job, folder)
    return outcome


def clock_jumps(lab: Lab, job: Job, folder: Path, rng: random.Random) -> Outcome:
    """Let the clock jump at every look, and kill the work once."""
    for position, seconds in enumerate(lab.reference(job).seconds):
        jumps = children.jumping_clock
        child = lab.start(job, position, folder, jumps, interval=interval(rng))
        child.wait(rng.uniform(0, 1.5 * seconds))
        child.send(signal.SIGKILL)
        child.finish()
        child = lab.start(job, position, folder, jumps).finish()
        if not is_done(child):
            return Outcome(1, lost=f"exit code {child.code}: {last_line(child)}")
    return Outcome(1, lost=lab.finish(job, folder))


KINDS: Mapping[str, Trial] = {
    "SIGKILL": partial(interrupted, signal.SIGKILL),
    "SIGKILL at a rename, deletion or sync": killed_at_a_write,
    "SIGTERM": partial(interrupted, signal.SIGTERM),
    "SIGINT (Ctrl-C)": partial(interrupted, signal.SIGINT),
    "disk full": disk_full,
    "read-only disk": read_only,
    "damaged state": damaged_state,
    "two at once": two_at_once,
    "reader beside the writer": read_meanwhile,
    "clock that jumps": clock_jumps,
}
