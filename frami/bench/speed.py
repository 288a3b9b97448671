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
from frami.bench.timing import TimingRow
from frami.core import files, registry
from frami.core.environment import environment
from frami.core.runtime import Runtime
from frami.core.settings import make_settings
from frami.evaluate import complexity
from frami.inversion import losses, targets
from frami.inversion.hooks import forward_with_stats
from frami.inversion.resize_conv import ResizeConv2d
from frami.models.model import Model
from frami.models.network import frozen

# Steps of a round as published. CMI's bank of past clips is still almost empty when it is timed, which is in its favour.
PUBLISHED = {"fastmeta": 10, "cmi": 200}
# A round of them all would take many minutes: these numbers of steps are timed, and what a step takes follows from the two.
TIMED = (2, 6)
# A whole batch is optimised, with contrast and adversary: what a step costs, all that goes with it included.
PLAIN = {"siblings": 0, "contrast": 0.2, "adversary": 2.0, "proxy_start": 0}


def time_limits(model: Model, runtime: Runtime) -> list[TimingRow]:
    """Return the rate of matrix products, and the times of the teacher's pass over a batch and over two at once."""
    kind = torch.bfloat16 if runtime.precision == "bfloat16" else torch.float32
    square = torch.randn(2048, 2048, dtype=kind, device=runtime.device)
    rate = 2 * 2048**3 / timing.median_seconds(lambda: square @ square) / 1e9
    batch = torch.randn(timing.BATCH_SIZE, model.front_end.n_mels, timing.FRAMES)
    timing.check_output(
        forward_backward(model, batch, runtime), tuple(batch.shape), "a pass through the teacher"
    )
    one, two = (
        timing.median_seconds(
            partial(
                forward_backward,
                model,
                torch.randn(n * timing.BATCH_SIZE, model.front_end.n_mels, timing.FRAMES),
                runtime,
            )
        )
        for n in (1, 2)
    )
    work = (
        2
        * 2
        * timing.BATCH_SIZE
        * complexity.multiply_adds(model, model.front_end.seconds(timing.FRAMES))
        / 1e9
    )
    runtime.place(model.network)
    return [
        TimingRow(
            f"matrix products, {runtime.precision}",
            rate,
            "GFLOP/s" + (" of one core" if runtime.device == "cpu" else ""),
        ),
        TimingRow(
            f"teacher forward and backward, {timing.BATCH_SIZE} clips",
            1000 * one,
            "ms",
            rate * one / work,
            "its products alone",
        ),
        TimingRow(
            f"the same of {2 * timing.BATCH_SIZE} clips: both views at once",
            1000 * two,
            "ms",
            two / one / 2,
            "two passes",
        ),
    ]


def forward_backward(model: Model, mel: Tensor, runtime: Runtime) -> Tensor | None:
    """Pass a batch through the teacher, and a gradient back to it; return that."""
    moved = mel.to(runtime.device, copy=True).requires_grad_(True)
    with runtime.autocast():
        said = model.network(moved)
    said.logits.float().sum().backward()
    return moved.grad


def round_seconds(
    model: Model,
    runtime: Runtime,
    method: str,
    chosen: dict[str, Any],
    *,
    rounds: int = 2,
    frames: int | None = None,
) -> float:
    """Return the time (s) of one round of a method, for one batch, by default of clips of full length."""
    module, frames = registry.load("generators", method), frames or timing.FRAMES
    generator = module.Method(model, make_settings(module.Settings, chosen), runtime, 0)
    # The first one allocates.
    made = generator.run_round(
        0, targets.sample_balanced_classes(timing.CLASSES, timing.BATCH_SIZE, 0, 0), frames
    )
    timing.check_output(
        made.mel, (timing.BATCH_SIZE, model.front_end.n_mels, frames), f"a round of {method}"
    )
    began = timing.now()
    for number in range(1, 1 + rounds):
        generator.run_round(
            number,
            targets.sample_balanced_classes(timing.CLASSES, timing.BATCH_SIZE, number, 0),
            frames,
        )
    return (timing.now() - began) / rounds


def extrapolated_round_seconds(
    model: Model, runtime: Runtime, method: str, chosen: dict[str, Any], steps: int
) -> float:
    """Return the time (s) of a round of so many steps, by what two shorter ones take."""
    few, many = (
        round_seconds(model, runtime, method, {**chosen, "steps": count}, rounds=1)
        for count in TIMED
    )
    return few + (steps - TIMED[0]) * (many - few) / (TIMED[1] - TIMED[0])


def time_inversion(model: Model, runtime: Runtime, one_pass: float) -> list[TimingRow]:
    """Return what a step of FRAMI costs in a round of as many as there are by default, against the teacher's passes."""
    lines: list[TimingRow] = []
    steps = registry.load("generators", "frami").Settings().steps
    for name, off, passes in (
        ("as it is by default", {"contrast": 0.0, "adversary": 0.0}, 1),
        ("with the adversary", {"contrast": 0.0}, 1),
        ("with the contrast and the adversary", {}, 2),
    ):
        found = extrapolated_round_seconds(model, runtime, "frami", PLAIN | off, steps) / steps
        of = (
            f"{passes} forward and backward passes of the teacher"
            if passes > 1
            else "one such pass"
        )
        lines.append(
            TimingRow(
                f"a step of FRAMI, {name}", 1000 * found, "ms", found / (passes * one_pass), of
            )
        )
    if runtime.precision != "float32":
        plain = Runtime(runtime.device, "float32", channels_last=False)
        plain.place(model.network).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        found = 1000 * extrapolated_round_seconds(model, plain, "frami", PLAIN, steps) / steps
        runtime.place(model.network)
        lines.append(
            TimingRow(
                "the same in float32, channels first",
                found,
                "ms",
                found / lines[-1].value,
                "that step",
            )
        )
    return lines


def time_methods(model: Model, runtime: Runtime) -> list[TimingRow]:
    """Return what a finished clip costs: FRAMI's, of its own length and of full length, then those of others."""
    chosen = registry.load("generators", "frami").Settings()
    own, ours, lines = -(-timing.BATCH_SIZE // (1 + chosen.siblings)), [], []
    for frames in (min(timing.FRAMES, chosen.max_frames), timing.FRAMES):
        cost = 1000 * round_seconds(model, runtime, "frami", {}, frames=frames)
        mel = torch.randn(own, model.front_end.n_mels, frames)
        passes = (
            1000
            * timing.median_seconds(partial(forward_backward, model, mel, runtime))
            * chosen.steps
        )
        of = f"its {chosen.steps} passes of {own} clips through the teacher"
        lines.append(
            TimingRow(
                f"a round of FRAMI, {timing.BATCH_SIZE} clips of {frames} frames",
                cost,
                "ms",
                cost / passes,
                of,
            )
        )
        ours.append(
            TimingRow(f"a finished clip of FRAMI, {frames} frames", cost / timing.BATCH_SIZE, "ms")
        )
    lines += ours
    for method, steps in PUBLISHED.items():
        loud = (
            {"proxy_start": 0}
            if hasattr(registry.load("generators", method).Settings(), "proxy_start")
            else {}
        )
        what = f"a finished clip of {method}, {timing.FRAMES} frames, {steps} steps a round"
        for name, form in (
            (what, nullcontext),
            ("the same, its generator as published: doubles, then convolves", unfused_resize),
        ):
            with form():
                cost = (
                    1000
                    * extrapolated_round_seconds(model, runtime, method, loud, steps)
                    / timing.BATCH_SIZE
                )
            lines.append(TimingRow(name, cost, "ms", cost / ours[0].value, "FRAMI's first"))
            lines.append(
                TimingRow(
                    "the same",
                    cost,
                    "ms",
                    cost / ours[1].value,
                    f"FRAMI's of {timing.FRAMES} frames",
                )
            )
    return lines


@contextmanager
def unfused_resize() -> Iterator[None]:
    """Within the block, what a convolution is to double is doubled in memory first, as the authors of generators have it."""

    def plainly(layer: ResizeConv2d, x: Tensor) -> Tensor:
        return F.conv2d(
            F.interpolate(x, scale_factor=2.0, mode="nearest"), layer.weight, layer.bias, padding=1
        )

    with mock.patch.object(ResizeConv2d, "forward", plainly):
        yield


def profile_step(model: Model, runtime: Runtime, one_pass: float) -> list[TimingRow]:
    """Return what the parts of a step of FRAMI cost, each with its way back, against the teacher's pass."""
    module = registry.load("generators", "frami")
    generator = module.Method(model, module.Settings(**PLAIN), runtime, 0)
    target = targets.sample_balanced_classes(timing.CLASSES, timing.BATCH_SIZE, 0, 0).to(
        runtime.device
    )
    decoder, rng = generator.meta.start_round(), torch.Generator().manual_seed(0)
    latents = decoder.sample_latents(timing.BATCH_SIZE, timing.FRAMES, rng, runtime.device)
    mel = torch.randn(
        timing.BATCH_SIZE, model.front_end.n_mels, timing.FRAMES, device=runtime.device
    )
    with torch.no_grad(), runtime.autocast():
        told = model.network(mel)

    def decode() -> None:
        with runtime.autocast():
            made = decoder(latents, target, timing.FRAMES)
        made.sum().backward()

    def pull() -> None:
        moved = mel.clone().requires_grad_(True)
        with runtime.autocast():
            said = model.network(moved)
        generator.contrast.loss(said, told, 0.1).backward()

    def judge() -> None:
        moved = mel.clone().requires_grad_(True)
        heard = forward_with_stats(model.network, moved, runtime)
        gap = losses.batch_norm_loss(heard.batch_norm.batch, heard.batch_norm.stored)
        (heard.output.logits.float().sum() + gap).backward()

    def ask_rival() -> None:
        moved = mel.clone().requires_grad_(True)
        generator.proxy.predict(moved).logits.float().sum().backward()

    parts = {
        "the decoder": decode,
        "the teacher's pass that gives moments": judge,
        "the pass of the other view, and the contrast": pull,
        "the student in the making is asked": ask_rival,
        "the student in the making learns": lambda: generator.proxy.step(mel, told.logits),
    }
    timed = {name: timing.median_seconds(work) for name, work in parts.items()}
    return [
        TimingRow(name, 1000 * time, "ms", time / one_pass, "one such pass")
        for name, time in timed.items()
    ]


def run_speed_suite(runtime: Runtime, folder: Path, say: Callable[[str], None]) -> None:
    """Time everything; ``say`` is told each line of the table as it comes, which is in ``folder`` as speed.md at the end."""
    model, text = timing.untrained_teacher(), ""

    def tell(*lines: str) -> None:
        nonlocal text
        text += "".join(f"{line}\n" for line in lines)
        say("\n".join(lines))

    clock = "those of the CPU, all threads together" if runtime.device == "cpu" else "by the clock"
    made = environment()
    on = f"{made['machine']}, commit {made['commit'] or 'unknown'}, torch {made['versions']['torch']}"
    tell(f"Written by `frami bench --suite speed`, on {on}. Milliseconds are {clock}.", "")
    tell("| what |  | ratio | of |", "| --- | --- | --- | --- |")
    runtime.place(model.network)
    files.ensure_dir(folder)
    with frozen(model.network):
        found = time_limits(model, runtime)
        one_pass = found[1].value / 1000
        tell(*map(str, found))
        tell(*map(str, time_inversion(model, runtime, one_pass)))
        tell(*map(str, profile_step(model, runtime, one_pass)))
        tell(*map(str, time_methods(model, runtime)))
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        tell(*map(str, speed_store.measure_memory(runtime, Path(scratch))))
        tell(*map(str, speed_store.measure_loader(model, runtime, Path(scratch))))
    files.write_bytes(folder / "speed.md", text.encode())
