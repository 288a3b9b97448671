"""The fitness check: whether a teacher can be inverted, before hours are spent on it."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import torch

from frami.adoption import probes, rendered
from frami.adoption.failures import user_error
from frami.adoption.findings import IMPOSSIBLE, RENDERED, WEAK, WORKS, Fitness
from frami.core import seeds
from frami.core.memory import raise_if_full
from frami.core.runtime import select_runtime
from frami.core.seeds import Stream
from frami.generators import frami as method
from frami.inversion import targets
from frami.inversion.explicit_norms import explicit_batch_norms
from frami.inversion.gradients import GradientCheck, batch_dependence, check_gradient
from frami.models.intake import low_precision
from frami.models.model import Model, ModelLike, as_model
from frami.models.network import frozen

__all__ = ["IMPOSSIBLE", "RENDERED", "WEAK", "WORKS", "Fitness", "check_fitness"]

FAILED = "it raises an error"
NOISE_CLIPS = 32
GRADIENT_CLIPS = 8


def check_fitness(
    model: ModelLike, *, seed: int = 0, device: str = "auto", threads: int | None = None
) -> Fitness:
    """Examine whether a teacher can be inverted; seconds for a small one. It is not changed.

    Args:
        model: A model, a bundle's folder, or the name of a pretrained model.
        seed: Seed of all random numbers.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        threads: CPU threads; None leaves the choice to torch.
    """
    model = as_model(model)
    findings = Fitness(
        classes=len(model.labels),
        single_label=model.task == "single-label",
        low_precision=low_precision(model.network),
        wrappers=probes.find_wrappers(model.network),
        norms=probes.find_norms(model.network),
    )
    if findings.low_precision:
        return findings
    with warnings.catch_warnings(action="ignore"):  # of the user's code, about made-up clips
        return _run(model, findings, seed, device, threads)


def _run(model: Model, findings: Fitness, seed: int, device: str, threads: int | None) -> Fitness:
    """Return the findings with those of everything that runs the network."""
    runtime = select_runtime(device, threads, "float32")
    rng = seeds.make_rng(seed, Stream.FITNESS)
    low, high = model.front_end.value_range
    n_frames = targets.default_frame_range(model, method.Settings())[1]
    noise = torch.randn(NOISE_CLIPS, model.front_end.n_mels, n_frames, generator=rng)
    mel = noise.clamp(low, high).to(runtime.device)
    with runtime.placed(model.network) as network, frozen(network), explicit_batch_norms():
        try:
            check = check_gradient(network, mel[:GRADIENT_CLIPS], rng, runtime)
        except Exception as error:  # whatever code of the user's own raises
            raise_if_full(error)
            check = GradientCheck(math.nan, math.nan, FAILED, detail=user_error(error))
            return replace(findings, gradient=check)
        findings = replace(findings, gradient=check)
        with torch.no_grad():
            logits, silent = network(mel).logits, network(torch.full_like(mel[:1], low)).logits
        findings = replace(
            findings,
            batch_dependence=batch_dependence(network, mel),
            change=probes.change_from_call_to_call(network, mel),
            probabilities=probes.are_probabilities(model.task, logits),
            noise=probes.summarize_answers(model, logits),
            silence=probes.summarize_answers(model, silent),
        )
        findings = replace(findings, rendered=rendered.share_of_same_class(model, runtime, seed))
        if check.problem:
            return findings
        short, alone = probes.invert_shortly(model, runtime, seed), None
        if not short.works:
            alone = probes.invert_shortly(model, runtime, seed, batch_norm=0.0)
        return replace(findings, round=short, class_prior_round=alone)
