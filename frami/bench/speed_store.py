"""What does a store cost? The memory that it takes to fill it and to learn from it, and how long its clips are waited for."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import frami
from frami.audio.frontend import FrontEnd
from frami.bench import timing
from frami.core.run import read_record
from frami.core.runtime import Runtime
from frami.data.clips import infinite_batches
from frami.data.store import Store, store_run_folder, train_holdout_split
from frami.models.model import Model

SMALL_CLIPS = (5_000, 100_000)
FULL_CLIPS = 1_024
LOADED = (10, 40)  # two numbers of steps of distillation


def measure_memory(runtime: Runtime, folder: Path) -> list[timing.TimingRow]:
    """Return the most memory that synthesis and distillation hold, for few and for many small clips (2 kB each)."""
    lines: list[timing.TimingRow] = []
    small = FrontEnd(
        sample_rate=8000, n_fft=256, win_length=256, hop_length=128, n_mels=32, f_max=4000.0
    )
    model = timing.untrained_teacher(4, small, width=4, depth=1)
    for clips in SMALL_CLIPS:
        store = folder / f"{clips}.h5"
        arguments: dict[str, Any] = {
            "samples": clips,
            "method": "noise",
            "frame_range": (32, 32),
            "batch_size": 500,
        }
        frami.synthesize(model, store, **arguments, device=runtime.device).close()
        out = folder / f"student-{clips}"
        frami.distill(
            model,
            samples=store,
            student="small",
            out=out,
            options={"steps": 50},
            device=runtime.device,
        )
        peaks = [
            read_record(store_run_folder(store))["peak_memory"],
            read_record(out)["peak_memory"],
        ]
        before = lines[0].value if lines else None
        peak = max(peaks) / 2**20
        lines.append(
            timing.TimingRow(
                f"peak memory, {clips:,} clips",
                peak,
                "MB",
                peak / before if before else None,
                "that of the first",
            )
        )
    return lines


def measure_loader(model: Model, runtime: Runtime, folder: Path) -> list[timing.TimingRow]:
    """Return how long distillation waits for a batch of full-size clips from a store."""
    store, times = folder / "full.h5", []
    frami.synthesize(
        model, store, samples=FULL_CLIPS, method="noise", device=runtime.device
    ).close()
    for number, steps in enumerate((LOADED[0], *LOADED)):  # the first run allocates
        out = folder / f"{number}-{steps}-steps"
        frami.distill(
            model,
            samples=store,
            student="small",
            out=out,
            options={"steps": steps},
            device=runtime.device,
        )
        times.append(read_record(out)["seconds"])
    a_step = (times[2] - times[1]) / (LOADED[1] - LOADED[0])
    with Store(store) as kept:
        batches = infinite_batches(train_holdout_split(kept)[0], timing.BATCH_SIZE, 0)
        next(batches)
        began = time.perf_counter()
        for _ in range(timing.REPETITIONS):
            next(batches)
        wait = (time.perf_counter() - began) / timing.REPETITIONS
    what = f"a batch of {timing.BATCH_SIZE} full-size clips from a store"
    return [
        timing.TimingRow(
            what, 1000 * wait, "ms", wait / a_step, "a step of distillation, by the clock"
        )
    ]
