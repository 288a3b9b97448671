"""Disturb every long command in every way; print what was tried, and what was lost."""

from __future__ import annotations

import argparse
import os

# Before torch is imported: each child runs on one thread.
os.environ["OMP_NUM_THREADS"] = "1"

import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.lab import Lab
from tests.faults.results import Outcome, Result, add_result, read_results, tables
from tests.faults.trials import KINDS


def disturb(lab: Lab, jobs: Sequence[str], kinds: Sequence[str], rounds: int, end: float) -> None:
    """Make the trials that the file of results lacks, until a time."""
    path = lab.root / "results.jsonl"
    done = {(one.job, one.kind, one.index) for one in read_results(path)}
    wanted = [
        (job, kind, index)
        for index in range(rounds)
        for kind in kinds
        for job in lab.jobs
        if (not jobs or any(word in job.name for word in jobs))
        and (job.name, kind, index) not in done
    ]
    for number, (job, kind, index) in enumerate(wanted, 1):
        if time.monotonic() > end:
            return
        lab.reference(job)
        folder = lab.new_folder(job, kind, index)
        rng = random.Random(f"{job.name} {kind} {index}")
        outcome: Outcome = KINDS[kind](lab, job, folder, rng)
        add_result(path, Result(job.name, kind, index, outcome))
        print(
            f"{number}/{len(wanted)} {job.name}: {kind}: {outcome.hits} times"
            f"{outcome.skipped and f', not tried: {outcome.skipped}'}"
            f"{outcome.lost and f', LOST: {outcome.lost} (see {folder})'}",
            flush=True,
        )
        if not outcome.lost:
            lab.clean(folder)


def main() -> int:
    """Return the exit status: 1 if anything was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("faults"), help="folder to go on in")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no trial after")
    parser.add_argument("--rounds", type=int, default=1, help="trials of each kind for each job")
    parser.add_argument("--job", action="append", default=[], help="only jobs with these words")
    parser.add_argument("--kind", choices=list(KINDS), action="append", help="only this fault")
    given = parser.parse_args()
    end = time.monotonic() + 60 * given.minutes
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped, too
    lab = Lab(given.folder)
    try:
        disturb(lab, given.job, given.kind or list(KINDS), given.rounds, end)
    finally:
        lab.close()
    results = read_results(lab.root / "results.jsonl")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    print(f"\n{tables(results, list(KINDS), [job.name for job in lab.jobs])}")
    print(f"\nCommit {commit.stdout.strip()}.")
    for one in results:
        if one.outcome.lost:
            print(f"{one.job}: {one.kind} {one.index}: {one.outcome.lost}")
    return int(any(one.outcome.lost for one in results))


if __name__ == "__main__":
    sys.exit(main())
