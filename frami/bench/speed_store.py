"""Costs of a store: peak memory of synthesis and distillation, and the wait for a batch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import frami
from frami.audio.frontend import FrontEnd
from frami.bench import timing
from frami.bench.timing import TimingRow
from frami.core.run import read_record
from frami.core.runtime import Runtime
from frami.data.clips import infinite_batches
from frami.data.store import Store, store_run_folder, train_holdout_split
from frami.models.model import Model

SMALL_CLIPS = (5_000, 100_000)
FULL_CLIPS = 1_024
DISTILLATION_STEPS = (10, 40)  # the time of a step follows from the difference


def measure_memory(runtime: Runtime, folder: Path) -> list[TimingRow]:
    """Return the peak memory of synthesis and distillation, for few and many clips of 2 kB."""
    rows: list[TimingRow] = []
    front_end = FrontEnd(
        sample_rate=8000, n_fft=256, win_length=256, hop_length=128, n_mels=32, f_max=4000.0
    )
    model = timing.untrained_teacher(4, front_end, width=4, depth=1)
    for clips in SMALL_CLIPS:
        store, student = folder / f"{clips}.h5", folder / f"student-{clips}"
        settings: dict[str, Any] = {
            "samples": clips,
            "method": "noise",
            "frame_range": (32, 32),
            "batch_size": 500,
        }
        frami.synthesize(model, store, **settings, device=runtime.device).close()
        _distill(model, store, student, 50, runtime)
        records = [read_record(store_run_folder(store)), read_record(student)]
        peak = max(record["peak_memory"] for record in records) / 2**20
        ratio = peak / rows[0].value if rows else None
        title = f"peak memory, {clips:,} clips"
        rows.append(TimingRow(title, peak, "MB", ratio, "the line above"))
    return rows


def measure_loader(model: Model, runtime: Runtime, folder: Path) -> list[TimingRow]:
    """Return how long distillation waits for a batch of full-size clips from a store."""
    store, seconds = folder / "full.h5", []
    frami.synthesize(
        model, store, samples=FULL_CLIPS, method="noise", device=runtime.device
    ).close()
    few, many = DISTILLATION_STEPS
    for index, steps in enumerate((few, few, many)):  # the first run allocates memory
        out = folder / f"{index}-{steps}-steps"
        _distill(model, store, out, steps, runtime)
        seconds.append(read_record(out)["seconds"])
    step = (seconds[2] - seconds[1]) / (many - few)
    with Store(store) as opened:
        batches = infinite_batches(train_holdout_split(opened)[0], timing.BATCH_SIZE, 0)
        next(batches)
        began = time.perf_counter()
        for _ in range(timing.REPETITIONS):
            next(batches)
        wait = (time.perf_counter() - began) / timing.REPETITIONS
    title = f"a batch of {timing.BATCH_SIZE} full-size clips from a store"
    reference = "a step of distillation, wall-clock time"
    return [TimingRow(title, 1000 * wait, "ms", wait / step, reference)]


def _distill(model: Model, store: Path, out: Path, steps: int, runtime: Runtime) -> None:
    frami.distill(
        model,
        samples=store,
        student="small",
        out=out,
        options={"steps": steps},
        device=runtime.device,
    )
