"""What does a step, and a finished clip, cost? Everything is given as a ratio of what was timed in the same run.

    frami bench --suite speed

Limits: the teacher's own forward and backward pass on the same batch, and the machine's rate of matrix products. The
teacher is an untrained one of the size of ESC-50's (what is computed does not depend on its weights), so no recordings
are needed.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import frami
from frami import catalog, files, priors, run, settings, targets, training
from frami import clips as sources
from frami.audio import FrontEnd
from frami.datasets import esc50
from frami.machine import Machine
from frami.model import Architecture, Model
from frami.network import frozen
from frami.store import Store, parts, run_folder
from frami.taps import hear

CLASSES = 50
FRAMES = 160
BATCH = 64
REPETITIONS = 5
# Steps of a round as published, and how many of them are timed: a round of CMI takes minutes.
PUBLISHED = {"fastmeta": (10, 10), "cmi": (200, 8)}
SMALL_CLIPS = (5_000, 100_000)


@dataclass(frozen=True)
class Line:
    """One line of the table: what was timed, the number, and what it is compared with."""

    what: str
    value: float
    unit: str
    ratio: float | None = None
    of: str = ""


def teacher(labels: int = CLASSES, front_end: FrontEnd | None = None, **arguments: Any) -> Model:
    """Return an untrained teacher whose batch norms have seen a batch of noise."""
    front_end = front_end or training.front_end_for(esc50)
    names = tuple(f"class {index}" for index in range(labels))
    torch.manual_seed(0)
    model = Model.build(Architecture("resnet", arguments), front_end, names, frames=(FRAMES, FRAMES))
    with torch.no_grad():
        model.network.train()(torch.randn(8, front_end.n_mels, FRAMES))
    model.network.eval().requires_grad_(False)
    return model


def seconds(work: Callable[[], object], repetitions: int = REPETITIONS) -> float:
    """Return the median time of some work, after doing it once."""
    work()
    times = []
    for _ in range(repetitions):
        began = _now()
        work()
        times.append(_now() - began)
    return statistics.median(times)


def _now() -> float:
    """Return the time, after all that a GPU has been asked for is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def limits(model: Model, where: Machine) -> list[Line]:
    """Return the rate of matrix products, and the time of the teacher's pass over a batch, forward and backward."""
    kind = torch.bfloat16 if where.precision == "bfloat16" else torch.float32
    square = torch.randn(2048, 2048, dtype=kind, device=where.device)
    rate = 2 * 2048**3 / seconds(lambda: square @ square) / 1e9
    mel = torch.randn(BATCH, model.front_end.n_mels, FRAMES, device=where.device)

    def both_ways() -> None:
        moved = mel.clone().requires_grad_(True)
        with where.autocast():
            said = model.network(moved)
        said.logits.float().sum().backward()

    return [
        Line(f"matrix products, {where.precision}", rate, "GFLOP/s"),
        Line(f"teacher forward and backward, {BATCH} clips", 1000 * seconds(both_ways), "ms"),
    ]


def step(model: Model, where: Machine, method: str, chosen: dict[str, Any], rounds: int) -> float:
    """Return the time (s) of one step of a method's rounds, with all that a round does beside its steps."""
    module = catalog.load("generators", method)
    generator = module.Generator(model, settings.make(module.Settings, chosen), where, 0)
    for number in range(2):  # the first rounds allocate
        generator.round(number, targets.balanced(CLASSES, BATCH, number, 0), FRAMES)
    began = _now()
    for number in range(2, 2 + rounds):
        generator.round(number, targets.balanced(CLASSES, BATCH, number, 0), FRAMES)
    steps = chosen.get("steps", getattr(module.Settings(), "steps", 1))
    return (_now() - began) / rounds / steps


def inversion(model: Model, where: Machine, both_ways: float) -> list[Line]:
    """Return what a step and a finished clip of FRAMI cost, against the teacher's passes and against other methods."""
    lines: list[Line] = []
    for name, off, passes in (
        ("all of it", {}, 2),
        ("no contrast", {"contrast": 0.0}, 1),
        ("no contrast, no adversary", {"contrast": 0.0, "adversary": 0.0}, 1),
    ):
        found = step(model, where, "frami", {"rival_from": 0, **off}, 3)
        of = f"{passes} forward and backward passes of the teacher" if passes > 1 else "one such pass"
        lines.append(Line(f"a step of FRAMI, {name}", 1000 * found, "ms", found / (passes * both_ways), of))
    lines += profile(model, where, lines[0].value / 1000)
    steps = catalog.load("generators", "frami").Settings().steps
    ours = lines[0].value * steps / BATCH
    lines.append(Line("a finished clip of FRAMI", ours, "ms"))
    for method, (published, timed) in PUBLISHED.items():
        cost = step(model, where, method, {"steps": timed}, 1) * published / BATCH
        lines.append(
            Line(f"a finished clip of {method}, {published} steps", 1000 * cost, "ms", 1000 * cost / ours, "FRAMI's")
        )
    return lines


def profile(model: Model, where: Machine, a_step: float) -> list[Line]:
    """Return what the parts of a step of FRAMI cost, each with its way back."""
    module = catalog.load("generators", "frami")
    generator = module.Generator(model, module.Settings(), where, 0)
    target = targets.balanced(CLASSES, BATCH, 0, 0).to(where.device)
    decoder, draw = generator.meta.begin(), torch.Generator().manual_seed(0)
    latents = decoder.draw(BATCH, FRAMES, draw, where.device)
    mel = torch.randn(BATCH, model.front_end.n_mels, FRAMES, device=where.device)
    with torch.no_grad(), where.autocast():
        told = model.network(mel).logits

    def decode() -> None:
        with where.autocast():
            made = decoder(latents, target, FRAMES)
        made.sum().backward()

    def judge() -> None:
        moved = mel.clone().requires_grad_(True)
        heard = hear(model.network, moved, where)
        gap = priors.batch_norm_moments(heard.seen.batch, heard.seen.stored)
        (heard.said.logits.float().sum() + gap).backward()

    def ask_rival() -> None:
        moved = mel.clone().requires_grad_(True)
        with where.autocast():
            said = generator.rival.network(moved)
        said.logits.float().sum().backward()

    parts = {
        "the decoder": decode,
        "the teacher's pass that gives moments": judge,
        "the student in the making is asked": ask_rival,
        "the student in the making learns": lambda: generator.rival.step(mel, told),
    }
    timed = {name: seconds(work) for name, work in parts.items()}
    return [Line(name, 1000 * time, "ms", time / a_step, "that step") for name, time in timed.items()]


def memory(where: Machine, folder: Path) -> list[Line]:
    """Return the most memory that synthesis and distillation hold, for few and for many small clips."""
    lines: list[Line] = []
    small = FrontEnd(sample_rate=8000, n_fft=256, win_length=256, hop_length=128, n_mels=16, f_max=4000.0)
    model = teacher(4, small, width=4, depth=1)
    for clips in SMALL_CLIPS:
        store = folder / f"{clips}.h5"
        arguments: dict[str, Any] = {"samples": clips, "method": "noise", "frames": (8, 8), "batch_size": 500}
        frami.synthesize(model, store, **arguments, device=where.device).close()
        out = folder / f"student-{clips}"
        frami.distill(model, samples=store, student="small", out=out, options={"steps": 50}, device=where.device)
        peaks = [run.read(run_folder(store))["peak_memory"], run.read(out)["peak_memory"]]
        before = lines[0].value if lines else None
        peak = max(peaks) / 2**20
        lines.append(
            Line(f"peak memory, {clips:,} clips", peak, "MB", peak / before if before else None, "that of the first")
        )
    with Store(store) as kept:
        batches = sources.endless(parts(kept)[0], BATCH, 0)
        wait = seconds(lambda: next(batches), 50)
    a_step = run.read(out)["seconds"] / 50
    return [*lines, Line("a batch of these from the store", 1000 * wait, "ms", wait / a_step, "a step of distillation")]


def speed(where: Machine, folder: Path) -> str:
    """Time everything; return the table, which is in ``folder`` as speed.md as well."""
    model = teacher()
    where.place(model.network)
    with frozen(model.network):
        lines = limits(model, where)
        lines += inversion(model, where, lines[1].value / 1000)
    files.folder(folder)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        lines += memory(where, Path(scratch))
    heads = ["what", "", "ratio", "of"]
    body = [
        [
            line.what,
            f"{line.value:.4g} {line.unit}",
            f"{line.ratio:.2f}" if line.ratio else "",
            line.of if line.ratio else "",
        ]
        for line in lines
    ]
    table = "\n".join("| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *body])
    text = f"Written by `frami bench --suite speed`, on {run.environment()['machine']}.\n\n{table}\n"
    files.write_bytes(folder / "speed.md", text.encode())
    return text
