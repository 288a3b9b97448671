"""The suite speed: costs of a step and of a clip, as ratios to reference times of the same run.

    frami bench --suite speed

The references are the teacher's own forward and backward pass on the same batch, and the machine's
rate of matrix products. On a CPU, times are CPU times of all threads; with a GPU, wall-clock times.
The teacher is untrained and has the size of ESC-50's. The work does not depend on the
weights, so no recordings are needed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from frami.bench import speed_methods, speed_store, timing
from frami.bench.timing import TimingRow
from frami.core import files
from frami.core.environment import environment
from frami.core.runtime import Runtime
from frami.evaluate import complexity
from frami.models.model import Model
from frami.models.network import frozen

MATRIX_SIZE = 2048


def time_references(model: Model, runtime: Runtime) -> list[TimingRow]:
    """Return the rate of matrix products, and the times of teacher passes over 1 and 2 batches."""
    rate = matrix_product_rate(runtime)
    batches = [
        torch.randn(count * timing.BATCH_SIZE, model.front_end.n_mels, timing.FRAMES)
        for count in (1, 2)
    ]
    gradient = timing.forward_backward(model, batches[0], runtime)
    timing.check_output(gradient, tuple(batches[0].shape), "a pass through the teacher")
    one, two = (
        timing.median_seconds(partial(timing.forward_backward, model, batch, runtime))
        for batch in batches
    )
    clip_seconds = model.front_end.seconds(timing.FRAMES)
    # 2 operations per multiply-add, and as much work for the gradient of the input.
    work = 2 * 2 * timing.BATCH_SIZE * complexity.multiply_adds(model, clip_seconds) / 1e9
    runtime.place(model.network)
    unit = "GFLOP/s" + (" of one core" if runtime.device == "cpu" else "")
    title = f"teacher forward and backward, {timing.BATCH_SIZE} clips"
    both_views = f"the same for {2 * timing.BATCH_SIZE} clips: both views at once"
    return [
        TimingRow(f"matrix products, {runtime.precision}", rate, unit),
        TimingRow(title, 1000 * one, "ms", rate * one / work, "its matrix products alone"),
        TimingRow(both_views, 1000 * two, "ms", two / one / 2, "two passes"),
    ]


def matrix_product_rate(runtime: Runtime) -> float:
    """Return the machine's rate of matrix products, in GFLOP/s."""
    kind = torch.bfloat16 if runtime.precision == "bfloat16" else torch.float32
    square = torch.randn(MATRIX_SIZE, MATRIX_SIZE, dtype=kind, device=runtime.device)

    def multiply() -> Tensor:
        return square @ square

    return 2 * MATRIX_SIZE**3 / timing.median_seconds(multiply) / 1e9


def run_speed_suite(runtime: Runtime, folder: Path, say: Callable[[str], None]) -> None:
    """Time everything and write speed.md.

    Args:
        runtime: Device and precision.
        folder: Folder of speed.md.
        say: Called with each line of the table as soon as it is measured.
    """
    model, lines = timing.untrained_teacher(), list[str]()

    def add(*rows: object) -> None:
        texts = [str(row) for row in rows]
        lines.extend(texts)
        say("\n".join(texts))

    add(_header(runtime), "")
    add("| what |  | ratio | to |", "| --- | --- | --- | --- |")
    runtime.place(model.network)
    files.ensure_dir(folder)
    with frozen(model.network):
        references = time_references(model, runtime)
        one_pass = references[1].value / 1000
        add(*references)
        add(*speed_methods.time_inversion(model, runtime, one_pass))
        add(*speed_methods.profile_step(model, runtime, one_pass))
        add(*speed_methods.time_methods(model, runtime))
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        add(*speed_store.measure_memory(runtime, Path(scratch)))
        add(*speed_store.measure_loader(model, runtime, Path(scratch)))
    files.write_bytes(folder / "speed.md", "".join(f"{line}\n" for line in lines).encode())


def _header(runtime: Runtime) -> str:
    clock = "CPU times of all threads" if runtime.device == "cpu" else "wall-clock times"
    record = environment()
    commit, torch_version = record["commit"] or "unknown", record["versions"]["torch"]
    origin = f"{record['machine']}, commit {commit}, torch {torch_version}"
    return f"Written by `frami bench --suite speed`, on {origin}. Milliseconds are {clock}."
