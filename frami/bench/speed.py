"""What does a step, and a finished clip, cost? Everything is given as a ratio of what was timed in the same run.

    frami bench --suite speed

Limits: the teacher's own forward and backward pass on the same batch, and the machine's rate of matrix products. Times
are those of the CPU, of all threads together; with a GPU, by the clock. The teacher is an untrained one of the size of
ESC-50's (what is computed does not depend on its weights), so no recordings are needed.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from frami import catalog, files, priors, run, settings, targets
from frami.bench import speed_store, timing
from frami.bench.timing import Line
from frami.evaluate import complexity
from frami.machine import Machine
from frami.model import Model
from frami.network import frozen
from frami.taps import hear

# Steps of a round as published, and two numbers of steps that are timed: a round of CMI takes many minutes. What a step
# takes, and a round beside its steps, follow from the two. CMI's bank of past clips is still almost empty then, which is in
# its favour.
PUBLISHED = {"fastmeta": (10, (4, 10)), "cmi": (200, (2, 6))}
# A whole batch is optimised, with the contrast: what a step costs, all that goes with it included.
PLAIN = {"steps": 10, "siblings": 0, "contrast": 0.2, "rival_from": 0}


def limits(model: Model, where: Machine) -> list[Line]:
    """Return the rate of matrix products, and the times of the teacher's pass over a batch and over two at once."""
    kind = torch.bfloat16 if where.precision == "bfloat16" else torch.float32
    square = torch.randn(2048, 2048, dtype=kind, device=where.device)
    rate = 2 * 2048**3 / timing.seconds(lambda: square @ square) / 1e9
    batch = torch.randn(timing.BATCH, model.front_end.n_mels, timing.FRAMES)
    timing.check(both_ways(model, batch, where), tuple(batch.shape), "a pass through the teacher")
    one, two = (
        timing.seconds(
            partial(both_ways, model, torch.randn(n * timing.BATCH, model.front_end.n_mels, timing.FRAMES), where)
        )
        for n in (1, 2)
    )
    work = 2 * 2 * timing.BATCH * complexity.multiply_adds(model, model.front_end.seconds(timing.FRAMES)) / 1e9
    where.place(model.network)
    return [
        Line(
            f"matrix products, {where.precision}", rate, "GFLOP/s" + (" of one core" if where.device == "cpu" else "")
        ),
        Line(
            f"teacher forward and backward, {timing.BATCH} clips",
            1000 * one,
            "ms",
            rate * one / work,
            "its products alone",
        ),
        Line(
            f"the same of {2 * timing.BATCH} clips: both views at once", 1000 * two, "ms", two / one / 2, "two passes"
        ),
    ]


def both_ways(model: Model, mel: Tensor, where: Machine) -> Tensor | None:
    """Pass a batch through the teacher, and a gradient back to it; return that."""
    moved = mel.to(where.device, copy=True).requires_grad_(True)
    with where.autocast():
        said = model.network(moved)
    said.logits.float().sum().backward()
    return moved.grad


def a_round(
    model: Model, where: Machine, method: str, chosen: dict[str, Any], *, rounds: int = 2, frames: int | None = None
) -> float:
    """Return the time (s) of one round of a method, for one batch, by default of clips of full length."""
    module, frames = catalog.load("generators", method), frames or timing.FRAMES
    generator = module.Generator(model, settings.make(module.Settings, chosen), where, 0)
    # The first one allocates.
    made = generator.round(0, targets.balanced(timing.CLASSES, timing.BATCH, 0, 0), frames)
    timing.check(made.mel, (timing.BATCH, model.front_end.n_mels, frames), f"a round of {method}")
    began = timing.now()
    for number in range(1, 1 + rounds):
        generator.round(number, targets.balanced(timing.CLASSES, timing.BATCH, number, 0), frames)
    return (timing.now() - began) / rounds


def inversion(model: Model, where: Machine, one_pass: float) -> list[Line]:
    """Return what a step of FRAMI costs, and its parts, against the teacher's passes."""
    lines: list[Line] = []
    for name, off, passes in (
        ("contrast and all", {}, 2),
        ("no contrast", {"contrast": 0.0}, 1),
        ("no contrast, no adversary", {"contrast": 0.0, "adversary": 0.0}, 1),
    ):
        found = a_round(model, where, "frami", PLAIN | off) / PLAIN["steps"]
        of = f"{passes} forward and backward passes of the teacher" if passes > 1 else "one such pass"
        lines.append(Line(f"a step of FRAMI, {name}", 1000 * found, "ms", found / (passes * one_pass), of))
    if where.precision != "float32":
        plain = Machine(where.device, "float32", channels_last=False)
        plain.place(model.network).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        found = 1000 * a_round(model, plain, "frami", PLAIN, rounds=1) / PLAIN["steps"]
        lines.append(
            Line("the same in float32, channels first", found, "ms", found / lines[0].value, "contrast and all")
        )
        where.place(model.network)
    return lines + profile(model, where, lines[0].value / 1000)


def methods(model: Model, where: Machine) -> list[Line]:
    """Return what a finished clip costs: FRAMI's, of its own length and of full length, then those of others."""
    chosen = catalog.load("generators", "frami").Settings()
    own, ours, lines = -(-timing.BATCH // (1 + chosen.siblings)), [], []
    for frames in (min(timing.FRAMES, chosen.longest), timing.FRAMES):
        cost = 1000 * a_round(model, where, "frami", {"rival_from": 0}, frames=frames)
        mel = torch.randn(own, model.front_end.n_mels, frames)
        passes = 1000 * timing.seconds(partial(both_ways, model, mel, where)) * chosen.steps
        of = f"its {chosen.steps} passes of {own} clips through the teacher"
        lines.append(Line(f"a round of FRAMI, {timing.BATCH} clips of {frames} frames", cost, "ms", cost / passes, of))
        ours.append(Line(f"a finished clip of FRAMI, {frames} frames", cost / timing.BATCH, "ms"))
    lines += ours
    for method, (published, timed) in PUBLISHED.items():
        loud = {"rival_from": 0} if hasattr(catalog.load("generators", method).Settings(), "rival_from") else {}
        few, many = (a_round(model, where, method, {"steps": each, **loud}, rounds=1) for each in timed)
        a_step = (many - few) / (timed[1] - timed[0])
        cost = 1000 * (few + (published - timed[0]) * a_step) / timing.BATCH
        what = f"a finished clip of {method}, {timing.FRAMES} frames, {published} steps a round"
        alike = f"FRAMI's of {timing.FRAMES} frames"
        lines.append(Line(what, cost, "ms", cost / ours[0].value, "FRAMI's first"))
        lines.append(Line("the same", cost, "ms", cost / ours[1].value, alike))
    return lines


def profile(model: Model, where: Machine, a_step: float) -> list[Line]:
    """Return what the parts of a step of FRAMI cost, each with its way back."""
    module = catalog.load("generators", "frami")
    generator = module.Generator(model, module.Settings(), where, 0)
    target = targets.balanced(timing.CLASSES, timing.BATCH, 0, 0).to(where.device)
    decoder, draw = generator.meta.begin(), torch.Generator().manual_seed(0)
    latents = decoder.draw(timing.BATCH, timing.FRAMES, draw, where.device)
    mel = torch.randn(timing.BATCH, model.front_end.n_mels, timing.FRAMES, device=where.device)
    with torch.no_grad(), where.autocast():
        told = model.network(mel)

    def decode() -> None:
        with where.autocast():
            made = decoder(latents, target, timing.FRAMES)
        made.sum().backward()

    def pull() -> None:
        moved = mel.clone().requires_grad_(True)
        with where.autocast():
            said = model.network(moved)
        generator.contrast.loss(said, told, 0.1).backward()

    def judge() -> None:
        moved = mel.clone().requires_grad_(True)
        heard = hear(model.network, moved, where)
        gap = priors.batch_norm_moments(heard.seen.batch, heard.seen.stored)
        (heard.said.logits.float().sum() + gap).backward()

    def ask_rival() -> None:
        moved = mel.clone().requires_grad_(True)
        generator.rival.says(moved).logits.float().sum().backward()

    parts = {
        "the decoder": decode,
        "the teacher's pass that gives moments": judge,
        "the pass of the other view, and the contrast": pull,
        "the student in the making is asked": ask_rival,
        "the student in the making learns": lambda: generator.rival.step(mel, told.logits),
    }
    timed = {name: timing.seconds(work) for name, work in parts.items()}
    return [Line(name, 1000 * time, "ms", time / a_step, "that step") for name, time in timed.items()]


def speed(where: Machine, folder: Path) -> str:
    """Time everything; return the table, which is in ``folder`` as speed.md as well."""
    model = timing.teacher()
    where.place(model.network)
    with frozen(model.network):
        lines = limits(model, where)
        lines += inversion(model, where, lines[1].value / 1000) + methods(model, where)
    files.folder(folder)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        lines += speed_store.memory(where, Path(scratch))
        lines += speed_store.loader(model, where, Path(scratch))
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
    clock = "those of the CPU, all threads together" if where.device == "cpu" else "by the clock"
    on = run.environment()["machine"]
    text = f"Written by `frami bench --suite speed`, on {on}. Milliseconds are {clock}.\n\n{table}\n"
    files.write_bytes(folder / "speed.md", text.encode())
    return text
