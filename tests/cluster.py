"""Check several processes on this machine: their speed, and that a kill loses nothing: make cluster

The checks are those of tests/cli/test_cluster.py, tests/cli/test_torchrun.py and
tests/bench/test_sharing.py, with the methods, sizes and commands of a user. Two free cores are
needed to judge the speed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from frami.core.run import read_metrics, read_record
from frami.core.shards import Shard

SAMPLES, BATCH = 2048, 64
LEAST_GAIN = 1.8
# Below, other work takes so much of the cores that clips a second say nothing.
LEAST_CPU_SHARE = 0.85
SYNTHESIZE = [
    *("synthesize", "--teacher", "digits", "--samples", SAMPLES, "--batch-size", BATCH),
    *("--threads", 1, "--precision", "float32"),
]

Process = subprocess.Popen[str]


def start(*words: object) -> Process:
    """Start a command of frami with one thread."""
    command = [sys.executable, "-m", "frami", *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment)


def run(*words: object, code: int = 0, message: str = "") -> str:
    """Run a command; check its exit code and a part of what it prints; return what it prints."""
    process = start(*words)
    out, err = process.communicate()
    assert process.returncode == code, f"{words}: exit code {process.returncode}\n{err}"
    assert message in out + err, f"{words}: {message!r} is not in\n{out}{err}"
    return out


def rounds(folder: Path) -> int:
    """Return the number of finished rounds of a run."""
    path = folder / "metrics.jsonl"
    return path.read_text(encoding="utf-8").count("\n") if path.is_file() else 0


def wait(condition: Callable[[], bool], *processes: Process) -> None:
    """Wait until a condition holds, or a process has ended."""
    while not condition() and all(process.poll() is None for process in processes):
        time.sleep(0.02)


def shard_paths(out: Path) -> list[Path]:
    """Return the files of the two shards."""
    return [Shard(index, 2).path(out) for index in (1, 2)]


def clips_per_second(out: Path, count: int) -> tuple[float, float, float]:
    """Return the clips a second while all processes are at work.

    Also return the CPU seconds of a clip, and the smallest share of a core that a process had.
    """
    stores, parts = [out], [list[str]()]
    if count > 1:
        stores = [Shard(index, count).path(out) for index in range(1, count + 1)]
        parts = [["--shard", f"{index}/{count}"] for index in range(1, count + 1)]
    processes = [start(*SYNTHESIZE, "--out", out, *part) for part in parts]
    folders = [store.with_suffix(".run") for store in stores]
    wait(lambda: all(map(rounds, folders)), *processes)
    began, before = time.monotonic(), sum(map(rounds, folders))
    last = SAMPLES // BATCH // count
    wait(lambda: any(rounds(folder) == last for folder in folders), *processes)
    seconds, made = time.monotonic() - began, sum(map(rounds, folders)) - before
    for process in processes:
        _, err = process.communicate()
        assert process.returncode == 0, err
    records = [read_record(folder) for folder in folders]
    share = min(record["cpu_seconds"] / record["seconds"] for record in records)
    cost = sum(record["cpu_seconds"] for record in records) / SAMPLES
    return made * BATCH / seconds, cost, share


def check_speed(folder: Path) -> None:
    """Compare two processes with one, taking turns; print the gain."""
    results: dict[int, list[tuple[float, float, float]]] = {1: [], 2: []}
    for turn in range(2):
        for count in (1, 2):
            results[count].append(clips_per_second(folder / f"{turn}-{count}.h5", count))
    rates = {count: max(rate for rate, _, _ in results[count]) for count in results}
    costs = {count: min(cost for _, cost, _ in results[count]) for count in results}
    share, gain = min(share for of in results.values() for _, _, share in of), rates[2] / rates[1]
    print(f"clips a second: one process {rates[1]:.1f}, two {rates[2]:.1f}: {gain:.2f} times")
    print(
        f"CPU ms a clip: one process {1000 * costs[1]:.1f}, two {1000 * costs[2]:.1f}; with a core "
        f"for each, two would be {2 * costs[1] / costs[2]:.2f} times as fast"
    )
    if share < LEAST_CPU_SHARE:
        print(f"  not judged: other work left a process {share:.0%} of a core")
        return
    assert gain >= LEAST_GAIN, f"at least {LEAST_GAIN} times are wanted"


def check_kill(folder: Path) -> None:
    """Kill one of two shards; the other and a rerun complete the plan, as if nothing had been."""
    calm = folder / "0-2.h5"
    run("merge", *shard_paths(calm), "--out", calm, message="is whole")
    out = folder / "samples.h5"
    paths = shard_paths(out)
    killed, other = (start(*SYNTHESIZE, "--out", out, "--shard", f"{i}/2") for i in (1, 2))
    wait(lambda: rounds(paths[0].with_suffix(".run")) >= 3, killed)
    killed.send_signal(signal.SIGSTOP)
    again = [*SYNTHESIZE, "--out", out, "--shard", "1/2"]
    run(*again, code=2, message="Another process is writing to")
    killed.kill()
    killed.communicate()
    _, err = other.communicate()
    assert other.returncode == 0, err
    run("merge", *paths, "--out", out, code=1, message=f"of its {SAMPLES // 2:,} clips")
    run(*again, message=f"{SAMPLES // 2:,} clips")
    run("merge", *paths[::-1], "--out", out, message="samples.h5 is whole")
    assert out.read_bytes() == calm.read_bytes()
    print("kill -9 of a shard: the rerun completes the plan; the union is equal byte for byte")
    run("distill", "--teacher", "digits", "--samples", out, "--out", folder / "student",
        "--set", "steps=20", message="samples.h5 is whole")  # fmt: skip


def check_refusals(folder: Path) -> None:
    """Have merge refuse shards that are truncated, foreign, given twice or missing."""
    one, two = shard_paths(folder / "samples.h5")
    out = ["--out", folder / "joined.h5"]
    truncated = folder / "truncated.h5"
    truncated.write_bytes(two.read_bytes()[:-1000])
    twice = folder / "twice.h5"
    shutil.copy(one, twice)
    foreign = folder / "foreign.h5"
    run(*SYNTHESIZE, "--method", "noise", "--out", foreign, "--shard", "2/2")
    run("merge", one, truncated, *out, code=1, message="is truncated")
    run("merge", one, two, twice, *out, code=2, message="are both shard 1 of 2")
    run("merge", one, shard_paths(foreign)[1], *out, code=2, message="of another plan")
    run("merge", one, *out, code=2)
    run(*SYNTHESIZE, *out, "--shard", "3/2", code=2, message="--shard is 3/2")
    assert not (folder / "joined.h5").exists()
    print("truncated, foreign, duplicate and missing shards, and --shard 3/2: refused")


def check_bench(folder: Path) -> None:
    """Share a bench between two processes and kill one; every row is measured once."""
    words = ["bench", "--suite", "quick", "--out", folder / "runs", "--page", folder / "page"]
    killed, other = (start(*words, "--threads", 1) for _ in range(2))
    assert killed.stdout is not None
    lines = [killed.stdout.readline()]
    killed.kill()
    lines += killed.communicate()[0].splitlines()
    out, err = other.communicate()
    assert other.returncode == 0, err
    measured = Counter(
        line.split(" ", 1)[1].split(": accuracy")[0]
        for line in [*lines, *out.splitlines()]
        if ": accuracy" in line
    )
    rows = (folder / "page" / "bench.csv").read_text(encoding="utf-8").count("\n") - 1
    assert len(measured) == rows and set(measured.values()) == {1}, json.dumps(measured, indent=1)
    print(f"a bench shared by two processes, one killed: each of {rows} rows measured once")


def check_torchrun(folder: Path) -> None:
    """Distill with two processes, kill one, and continue with one; compare with one process."""
    store = folder / "torchrun.h5"
    run("synthesize", "--teacher", "digits", "--samples", 256, "--method", "noise", "--out", store)
    words = ["distill", "--teacher", "digits", "--samples", store, "--any-teacher"]
    words += ["--precision", "float32", "--threads", 1, "--set", "steps=100", "--out"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m"]
    command = [*torchrun, "frami", *map(str, words), str(folder / "two")]
    two = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait(lambda: rounds(folder / "two") >= 2, two)
    table = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True)
    rows = [line.split() for line in table.stdout.splitlines()[1:]]
    os.kill([int(pid) for pid, parent in rows if int(parent) == two.pid][1], signal.SIGKILL)
    _, err = two.communicate()
    assert two.returncode == 1 and err.count("frami: A process of this run was lost") == 1, err
    run(*words, folder / "two")
    run(*words, folder / "one")
    losses = [read_metrics(folder / name)[0]["logits"] for name in ("one", "two")]
    assert abs(losses[1] / losses[0] - 1) < 0.05, losses
    print("a process of torchrun killed: one sentence, and one process continues from the state")


def main(names: Sequence[str]) -> None:
    """Run the checks, or those that are named: speed, kill and refusals build on one another."""
    checks = {"speed": check_speed, "kill": check_kill, "refusals": check_refusals}
    with tempfile.TemporaryDirectory() as folder:
        others = {"bench": check_bench, "torchrun": check_torchrun}
        for name, check in {**checks, **others}.items():
            if name in names or not names:
                check(Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
