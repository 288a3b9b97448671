"""What does a step, and a finished clip, cost? Everything is given as a ratio of what was timed in the same run.

    frami bench --suite speed

Limits: the teacher's own forward and backward pass on the same batch, and the machine's rate of matrix products. Times
are those of the CPU, of all threads together; with a GPU, by the clock. The teacher is an untrained one of the size of
ESC-50's (what is computed does not depend on its weights), so no recordings are needed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

from frami.bench import speed_store, timing
from frami.bench.timing import Line
from frami.core import files, run, settings
from frami.core import registry as catalog
from frami.core.runtime import Machine
from frami.evaluate import complexity
from frami.inversion import losses as priors
from frami.inversion import targets
from frami.inversion.hooks import hear
from frami.inversion.resize_conv import ResizeConv2d
from frami.models.model import Model
from frami.models.network import frozen

# Steps of a round as published. CMI's bank of past clips is still almost empty when it is timed, which is in its favour.
PUBLISHED = {"fastmeta": 10, "cmi": 200}
# A round of them all would take many minutes: these numbers of steps are timed, and what a step takes follows from the two.
TIMED = (2, 6)
# A whole batch is optimised, with contrast and adversary: what a step costs, all that goes with it included.
PLAIN = {"siblings": 0, "contrast": 0.2, "adversary": 2.0, "rival_from": 0}


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


def long_round(model: Model, where: Machine, method: str, chosen: dict[str, Any], steps: int) -> float:
    """Return the time (s) of a round of so many steps, by what two shorter ones take."""
    few, many = (a_round(model, where, method, {**chosen, "steps": count}, rounds=1) for count in TIMED)
    return few + (steps - TIMED[0]) * (many - few) / (TIMED[1] - TIMED[0])


def inversion(model: Model, where: Machine, one_pass: float) -> list[Line]:
    """Return what a step of FRAMI costs in a round of as many as there are by default, against the teacher's passes."""
    lines: list[Line] = []
    steps = catalog.load("generators", "frami").Settings().steps
    for name, off, passes in (
        ("as it is by default", {"contrast": 0.0, "adversary": 0.0}, 1),
        ("with the adversary", {"contrast": 0.0}, 1),
        ("with the contrast and the adversary", {}, 2),
    ):
        found = long_round(model, where, "frami", PLAIN | off, steps) / steps
        of = f"{passes} forward and backward passes of the teacher" if passes > 1 else "one such pass"
        lines.append(Line(f"a step of FRAMI, {name}", 1000 * found, "ms", found / (passes * one_pass), of))
    if where.precision != "float32":
        plain = Machine(where.device, "float32", channels_last=False)
        plain.place(model.network).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        found = 1000 * long_round(model, plain, "frami", PLAIN, steps) / steps
        where.place(model.network)
        lines.append(Line("the same in float32, channels first", found, "ms", found / lines[-1].value, "that step"))
    return lines


def methods(model: Model, where: Machine) -> list[Line]:
    """Return what a finished clip costs: FRAMI's, of its own length and of full length, then those of others."""
    chosen = catalog.load("generators", "frami").Settings()
    own, ours, lines = -(-timing.BATCH // (1 + chosen.siblings)), [], []
    for frames in (min(timing.FRAMES, chosen.longest), timing.FRAMES):
        cost = 1000 * a_round(model, where, "frami", {}, frames=frames)
        mel = torch.randn(own, model.front_end.n_mels, frames)
        passes = 1000 * timing.seconds(partial(both_ways, model, mel, where)) * chosen.steps
        of = f"its {chosen.steps} passes of {own} clips through the teacher"
        lines.append(Line(f"a round of FRAMI, {timing.BATCH} clips of {frames} frames", cost, "ms", cost / passes, of))
        ours.append(Line(f"a finished clip of FRAMI, {frames} frames", cost / timing.BATCH, "ms"))
    lines += ours
    for method, steps in PUBLISHED.items():
        loud = {"rival_from": 0} if hasattr(catalog.load("generators", method).Settings(), "rival_from") else {}
        what = f"a finished clip of {method}, {timing.FRAMES} frames, {steps} steps a round"
        for name, form in (
            (what, nullcontext),
            ("the same, its generator as published: doubles, then convolves", interpolated),
        ):
            with form():
                cost = 1000 * long_round(model, where, method, loud, steps) / timing.BATCH
            lines.append(Line(name, cost, "ms", cost / ours[0].value, "FRAMI's first"))
            lines.append(Line("the same", cost, "ms", cost / ours[1].value, f"FRAMI's of {timing.FRAMES} frames"))
    return lines


@contextmanager
def interpolated() -> Iterator[None]:
    """Within the block, what a convolution is to double is doubled in memory first, as the authors of generators have it."""

    def plainly(layer: ResizeConv2d, x: Tensor) -> Tensor:
        return F.conv2d(F.interpolate(x, scale_factor=2.0, mode="nearest"), layer.weight, layer.bias, padding=1)

    with mock.patch.object(ResizeConv2d, "forward", plainly):
        yield


def profile(model: Model, where: Machine, one_pass: float) -> list[Line]:
    """Return what the parts of a step of FRAMI cost, each with its way back, against the teacher's pass."""
    module = catalog.load("generators", "frami")
    generator = module.Generator(model, module.Settings(**PLAIN), where, 0)
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
    return [Line(name, 1000 * time, "ms", time / one_pass, "one such pass") for name, time in timed.items()]


def speed(where: Machine, folder: Path, say: Callable[[str], None]) -> None:
    """Time everything; ``say`` is told each line of the table as it comes, which is in ``folder`` as speed.md at the end."""
    model, text = timing.teacher(), ""

    def tell(*lines: str) -> None:
        nonlocal text
        text += "".join(f"{line}\n" for line in lines)
        say("\n".join(lines))

    clock = "those of the CPU, all threads together" if where.device == "cpu" else "by the clock"
    made = run.environment()
    on = f"{made['machine']}, commit {made['commit'] or 'unknown'}, torch {made['versions']['torch']}"
    tell(f"Written by `frami bench --suite speed`, on {on}. Milliseconds are {clock}.", "")
    tell("| what |  | ratio | of |", "| --- | --- | --- | --- |")
    where.place(model.network)
    files.folder(folder)
    with frozen(model.network):
        found = limits(model, where)
        one_pass = found[1].value / 1000
        tell(*map(str, found))
        tell(*map(str, inversion(model, where, one_pass)))
        tell(*map(str, profile(model, where, one_pass)))
        tell(*map(str, methods(model, where)))
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        tell(*map(str, speed_store.memory(where, Path(scratch))))
        tell(*map(str, speed_store.loader(model, where, Path(scratch))))
    files.write_bytes(folder / "speed.md", text.encode())
