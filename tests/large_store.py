"""Measure a large store: write, merge, inspect, and distill from it: python -m tests.large_store

Each part runs in a process of its own, whose peak memory is measured. The clips are noise of the
size of ESC-50's (64 bands, 160 frames, 20 kB); the teacher is untrained. 100,000 clips need 5 GB of
disk.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

import frami
from frami.bench import timing
from frami.core.run import read_record
from frami.core.shards import Shard
from frami.data.merge import merge
from frami.data.store import Store
from frami.data.writer import StoreWriter
from frami.models.model import Model

BATCH, SHARDS = 64, 2
MOST_INSPECT_SECONDS, MOST_DISTILL_GB, MOST_WAITING = 1.0, 3.0, 0.05
Result = dict[str, float]


def teacher() -> Model:
    """Return the teacher of all parts."""
    return timing.untrained_teacher()


def write(folder: Path, clips: int, steps: int, slow_ms: float) -> Result:
    """Write the shards of a plan."""
    model, total = teacher(), -(-clips // BATCH)
    rng = np.random.default_rng(0)
    noise = torch.from_numpy(
        rng.standard_normal((BATCH, model.front_end.n_mels, timing.FRAMES), np.float32)
    )
    for index in range(1, SHARDS + 1):
        plan = {"batch_size": BATCH, "seed": 0}
        description = {
            "teacher": model.fingerprint,
            "front_end": model.front_end,
            "labels": list(model.labels),
            "method": "noise",
            "settings": plan | {"shard": {"index": index, "count": SHARDS, "rounds": total}},
        }
        path = Shard(index, SHARDS).path(folder / "large.h5")
        writer = StoreWriter(path, description, max_frames=timing.FRAMES, losses=[])
        for number in Shard(index, SHARDS).pieces(total):
            writer.append(
                noise.roll(number, 2),
                target=np.arange(BATCH) % timing.CLASSES,
                teacher_logits=rng.standard_normal((BATCH, timing.CLASSES)),
                method=b"noise",
                seed=0,
                round=number,
                step=0,
                losses=np.nan,
            )
        writer.close()
    return {"clips": total * BATCH}


def join(folder: Path, clips: int, steps: int, slow_ms: float) -> Result:
    """Merge the shards."""
    paths = [Shard(index, SHARDS).path(folder / "large.h5") for index in range(1, SHARDS + 1)]
    with merge(paths, folder / "large.h5") as store:
        return {"clips": len(store), "GB": store.path.stat().st_size / 1e9}


def inspect(folder: Path, clips: int, steps: int, slow_ms: float) -> Result:
    """Inspect the store, once for what is imported late and once more."""
    seconds = []
    for _ in range(2):
        start = time.monotonic()
        text = str(frami.inspect(folder / "large.h5"))
        seconds.append(time.monotonic() - start)
    assert f"{-(-clips // BATCH) * BATCH:,}" in text
    return {"first_seconds": seconds[0], "inspect_seconds": seconds[1]}


def distill(folder: Path, clips: int, steps: int, slow_ms: float) -> Result:
    """Distill from the store, which takes ``slow_ms`` more for each clip."""
    read = Store.mel

    def slow(self: Store, index: int) -> torch.Tensor:
        time.sleep(slow_ms / 1000)
        return read(self, index)

    out = folder / f"student-{slow_ms:g}"
    with mock.patch.object(Store, "mel", slow) if slow_ms else nullcontext():
        frami.distill(teacher(), samples=folder / "large.h5", out=out, options={"steps": steps})
    record = read_record(out)
    waiting = record["seconds_waiting_for_clips"]
    # The held-out clips at the end are not training.
    return {"waiting_seconds": waiting, "step_ms": 1000 * record["seconds"] / steps}


PARTS: Mapping[str, Callable[[Path, int, int, float], Result]] = {
    "write": write,
    "join": join,
    "inspect": inspect,
    "distill": distill,
}


def measure(part: str, folder: Path, clips: int, steps: int, slow_ms: float = 0.0) -> Result:
    """Run a part in a process of its own; return what it measured, its time and peak memory."""
    words = [part, "--folder", folder, "--clips", clips, "--steps", steps, "--slow-ms", slow_ms]
    command = [sys.executable, "-m", "tests.large_store", *map(str, words)]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    values: Result = json.loads(result.stdout)
    return values


def check(clips: int, steps: int, folder: Path) -> None:
    """Measure all parts, and compare them with the limits."""
    work: list[tuple[str, dict[str, Any]]] = [(part, {}) for part in PARTS]
    results = {}
    for part, more in [*work, ("distill", {"slow_ms": 1.0})]:
        result = measure(part, folder, clips, steps, **more)
        results[part, bool(more)] = result
        values = ", ".join(f"{name} {value:.4g}" for name, value in result.items())
        print(f"{part}{' from a slow disk' if more else ''}: {values}", flush=True)
    assert results["inspect", False]["inspect_seconds"] < MOST_INSPECT_SECONDS
    for slow in (False, True):
        result = results["distill", slow]
        assert result["peak_gb"] < MOST_DISTILL_GB
        assert result["waiting_seconds"] < MOST_WAITING * result["seconds"]


def main() -> None:
    """Measure a part, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=list(PARTS))
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--slow-ms", type=float, default=0.0)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.part is None:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            check(arguments.clips, arguments.steps, Path(folder))
        return
    start = time.monotonic()
    part = PARTS[arguments.part]
    result = part(arguments.folder, arguments.clips, arguments.steps, arguments.slow_ms)
    result["seconds"] = time.monotonic() - start
    result["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(json.dumps(result))


if __name__ == "__main__":
    main()
