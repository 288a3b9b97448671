"""Costs of inversion: a step of FRAMI and its parts, and a finished clip of each method."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch

from frami.bench import timing
from frami.bench.timing import TimingRow
from frami.core import seeds
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.core.settings import make_settings
from frami.generators import frami
from frami.inversion import losses, targets
from frami.inversion.hooks import forward_with_stats
from frami.inversion.method import load_method
from frami.inversion.resize_conv import ResizeConv2d
from frami.models.model import Model

# Steps per round as published. CMI's bank of past clips is almost empty when it is timed, which
# favors CMI.
PUBLISHED_STEPS = {"fastmeta": 10, "cmi": 200}
# Rounds of the published length would take minutes. Rounds of these lengths are timed instead, and
# the time of a step follows from the difference.
TIMED_STEPS = (2, 6)
# All clips of a batch are optimized, with contrastive and adversarial loss from the first round.
ALL_LOSSES = {"siblings": 0, "adversary": 2.0, "proxy_start": 0}


def round_seconds(
    model: Model,
    runtime: Runtime,
    method: str,
    options: Mapping[str, Any],
    *,
    rounds: int = 2,
    n_frames: int | None = None,
) -> float:
    """Return the time (s) of one round of one batch, by default with clips of full length."""
    module, n_frames = load_method(method), n_frames or timing.FRAMES
    generator = module.Method(model, make_settings(module.Settings, options), runtime, 0)

    def run_round(index: int) -> torch.Tensor:
        target = targets.sample_balanced_classes(timing.CLASSES, timing.BATCH_SIZE, index, 0)
        mel: torch.Tensor = generator.run_round(index, target, n_frames).mel
        return mel

    # The first round also allocates memory, so it is not timed.
    shape = (timing.BATCH_SIZE, model.front_end.n_mels, n_frames)
    timing.check_output(run_round(0), shape, f"a round of {method}")
    began = timing.now()
    for index in range(1, 1 + rounds):
        run_round(index)
    return (timing.now() - began) / rounds


def extrapolated_round_seconds(
    model: Model, runtime: Runtime, method: str, options: Mapping[str, Any], steps: int
) -> float:
    """Return the time (s) of a round of ``steps`` steps, extrapolated from two shorter rounds."""
    few, many = (
        round_seconds(model, runtime, method, {**options, "steps": count}, rounds=1)
        for count in TIMED_STEPS
    )
    return few + (steps - TIMED_STEPS[0]) * (many - few) / (TIMED_STEPS[1] - TIMED_STEPS[0])


def time_inversion(model: Model, runtime: Runtime, one_pass: float) -> list[TimingRow]:
    """Return the cost of a step of FRAMI in a round of default length, in teacher passes."""
    rows: list[TimingRow] = []
    steps = frami.Settings().steps

    def step_seconds(step_runtime: Runtime, changes: Mapping[str, Any]) -> float:
        options = {**ALL_LOSSES, **changes}
        return extrapolated_round_seconds(model, step_runtime, "frami", options, steps) / steps

    passes_by_default = passes_per_step(frami.Settings())
    own_passes = f"the {passes_by_default:g} such passes that it needs"
    for name, changes, passes, reference in (
        ("by default", {"adversary": 0.0}, passes_by_default, own_passes),
        ("without contrastive loss", {"contrast": 0.0, "adversary": 0.0}, 1.0, "one such pass"),
        ("with adversarial loss", {}, passes_by_default, own_passes),
    ):
        seconds = step_seconds(runtime, changes)
        ratio = seconds / (passes * one_pass)
        rows.append(TimingRow(f"a step of FRAMI {name}", 1000 * seconds, "ms", ratio, reference))
    if runtime.precision != "float32":
        plain = Runtime(runtime.device, "float32", channels_last=False)
        network = plain.place(model.network)
        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        cost = 1000 * step_seconds(plain, {})
        runtime.place(model.network)
        title = "the same in float32, channels first"
        rows.append(TimingRow(title, cost, "ms", cost / rows[-1].value, "that step"))
    return rows


def passes_per_step(settings: frami.Settings) -> float:
    """Return the teacher passes of a step: the second view of the contrast has half the frames."""
    return 1 + 0.5 / settings.contrast_every


def time_methods(model: Model, runtime: Runtime) -> list[TimingRow]:
    """Return the cost of a finished clip: FRAMI's (default and full length), then others'."""
    rounds, clips = _time_frami_clips(model, runtime)
    rows = [*rounds, *clips]
    for method, steps in PUBLISHED_STEPS.items():
        settings = load_method(method).Settings()
        options = {"proxy_start": 0} if hasattr(settings, "proxy_start") else {}
        title = f"a finished clip of {method}, {timing.FRAMES} frames, {steps} steps a round"
        for name, context in (
            (title, nullcontext),
            ("the same, its generator as published: upsamples, then convolves", unfused_resize),
        ):
            with context():
                seconds = extrapolated_round_seconds(model, runtime, method, options, steps)
            cost = 1000 * seconds / timing.BATCH_SIZE
            short, full = (cost / clip.value for clip in clips)
            reference = f"FRAMI's of {timing.FRAMES} frames"
            rows.append(TimingRow(name, cost, "ms", short, "FRAMI's by default"))
            rows.append(TimingRow("the same", cost, "ms", full, reference))
    return rows


def _time_frami_clips(model: Model, runtime: Runtime) -> tuple[list[TimingRow], list[TimingRow]]:
    """Return the costs of a round and of a clip of FRAMI, each in default and in full length."""
    settings = frami.Settings()
    optimized = -(-timing.BATCH_SIZE // (1 + settings.siblings))
    passes = settings.steps * passes_per_step(settings)
    reference = f"its {passes:g} passes of {optimized} clips through the teacher"
    rounds, clips = [], []
    for n_frames in (min(timing.FRAMES, settings.max_frames), timing.FRAMES):
        cost = 1000 * round_seconds(
            model, runtime, "frami", {"siblings_start": 0}, n_frames=n_frames
        )
        mel = torch.randn(optimized, model.front_end.n_mels, n_frames)
        one_pass = timing.median_seconds(partial(timing.forward_backward, model, mel, runtime))
        ratio = cost / (1000 * one_pass * passes)
        title = f"a round of FRAMI, {timing.BATCH_SIZE} clips of {n_frames} frames"
        rounds.append(TimingRow(title, cost, "ms", ratio, reference))
        title = f"a finished clip of FRAMI, {n_frames} frames"
        clips.append(TimingRow(title, cost / timing.BATCH_SIZE, "ms"))
    return rounds, clips


@contextmanager
def unfused_resize() -> Iterator[None]:
    """Upsample in memory before each resize-convolution inside the block, as published."""
    before = ResizeConv2d.fused
    ResizeConv2d.fused = False
    try:
        yield
    finally:
        ResizeConv2d.fused = before


def profile_step(model: Model, runtime: Runtime, one_pass: float) -> list[TimingRow]:
    """Return the costs of the parts of a step of FRAMI, with their gradients, per teacher pass."""
    parts = _step_parts(model, runtime)
    seconds = {name: timing.median_seconds(part) for name, part in parts.items()}
    return [
        TimingRow(name, 1000 * time, "ms", time / one_pass, "one such pass")
        for name, time in seconds.items()
    ]


def _step_parts(model: Model, runtime: Runtime) -> dict[str, Callable[[], object]]:
    generator = frami.Method(model, make_settings(frami.Settings, ALL_LOSSES), runtime, 0)
    proxy = generator.proxy
    assert proxy is not None  # the adversary has a weight
    target = targets.sample_balanced_classes(timing.CLASSES, timing.BATCH_SIZE, 0, 0)
    target = target.to(runtime.device)
    decoder, rng = generator.meta.start_round(), seeds.make_rng(0, Stream.SPEED)
    latents = decoder.sample_latents(timing.BATCH_SIZE, timing.FRAMES, rng, runtime.device)
    shape = (timing.BATCH_SIZE, model.front_end.n_mels, timing.FRAMES)
    mel = torch.randn(shape, generator=rng).to(runtime.device)
    with torch.no_grad(), runtime.autocast():
        teacher_out = model.network(mel)

    def decode() -> None:
        with runtime.autocast():
            clips = decoder(latents, target, timing.FRAMES)
        clips.sum().backward()

    def contrast() -> None:
        view = mel.clone().requires_grad_(True)
        generator.contrast.start_round()
        torch.autograd.backward(generator.contrast.loss(view, teacher_out, target, rng))

    def proxy_forward() -> None:
        view = mel.clone().requires_grad_(True)
        torch.autograd.backward(proxy.predict(view).logits.float().sum())

    return {
        "the decoder": decode,
        "the teacher's pass, with batch-norm statistics": partial(
            _teacher_pass, model, mel, runtime
        ),
        "the pass of the second view, and the contrastive loss": contrast,
        "the proxy student's pass": proxy_forward,
        "a training step of the proxy student": lambda: proxy.step(mel, teacher_out.logits),
    }


def _teacher_pass(model: Model, mel: torch.Tensor, runtime: Runtime) -> None:
    view = mel.clone().requires_grad_(True)
    forward_pass = forward_with_stats(model.network, view, runtime)
    stats = forward_pass.batch_norm
    loss = losses.batch_norm_loss(stats.batch, stats.stored)
    torch.autograd.backward(forward_pass.output.logits.float().sum() + loss)
