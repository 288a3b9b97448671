"""FastMeta: a generator that needs few steps per round, from meta-learned initial weights.

Source: Fang et al., "Up to 100x Faster Data-free Knowledge Distillation", AAAI 2022,
arXiv:2112.06253:

    L = class_prior CE + batch_norm L_BN + adversary L_adv

In L_BN the moments are averaged with those of past rounds. L_adv is minus the divergence of student
from teacher on clips that both classify alike; it counts after twenty rounds. Each round starts
from initial weights that are learned over all rounds by first-order MAML (or Reptile,
``form=reptile``).

Published: the defaults are those of the ten-step form, for rounds of 256 clips; here a round has
the batch size, 64 by default.

Differs: A small proxy student takes the part of the student, which is distilled from the store
afterwards; it is trained from the first round on, for 10 steps per round where 400 are published.
The generator's first layer is never reset. Reptile is used without their factor of 67, which Adam
would divide out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from frami.audio import transforms
from frami.core import seeds
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.core.settings import setting
from frami.inversion.hooks import ForwardPass, RunningMoments, forward_with_stats
from frami.inversion.loop import LossTerms, RoundResult, optimize_clips
from frami.inversion.meta import MetaLearner
from frami.inversion.proxy import adversary_weight, load_proxy_state, make_proxy, proxy_state
from frami.inversion.terms import (
    ImageMethodSettings,
    RunningTermSettings,
    class_prior_weight,
    teacher_terms,
    weights_of_round,
)
from frami.inversion.upsampler import Upsampler
from frami.inversion.views import get_views
from frami.models.model import Model


@dataclass(frozen=True, kw_only=True)
class Settings(RunningTermSettings, ImageMethodSettings):
    """Settings of FastMeta."""

    steps: int = setting(10, "optimization steps per round", low=1)
    form: str = setting("fomaml", "form of meta-learning: fomaml or reptile")
    class_prior: float = class_prior_weight(0.5)
    adversary: float = adversary_weight(1.33)
    latent: int = setting(256, "size of the noise vector", low=1)
    learning_rate: float = setting(
        2e-3,
        "learning rate of the generator; its initial weights are learned at steps times this rate",
        low=0,
    )
    latent_rate: float = setting(1e-2, "learning rate of the noise", low=0)


class Method:
    """The initial weights, the running moments and the proxy student, kept between rounds."""

    def __init__(self, teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> None:
        self.teacher, self.settings, self.runtime, self.seed = teacher, settings, runtime, seed
        self.view, _ = get_views(settings.views)
        with seeds.seeded(seed, Stream.GENERATOR_WEIGHTS):
            start = Upsampler.for_teacher(teacher, settings.latent)
        runtime.place(start)
        self.meta = MetaLearner(start, settings.learning_rate * settings.steps, settings.form)
        self.running = RunningMoments(settings.momentum)
        self.proxy = make_proxy(teacher, settings, runtime, seed)

    def run_round(self, index: int, target: Tensor, n_frames: int) -> RoundResult:
        """Return finished clips ``(B, F, n_frames)``, one for each target."""
        settings, target = self.settings, target.to(self.runtime.device)
        rng = seeds.make_rng(self.seed, Stream.ROUND, index)
        generator = self.meta.start_round()
        noise = generator.sample_noise(len(target), rng, self.runtime.device).requires_grad_(True)

        def render() -> Tensor:
            with self.runtime.autocast():
                mel: Tensor = generator(noise, n_frames)
                return mel

        groups = [
            {"params": generator.parameters(), "lr": settings.learning_rate},
            {"params": [noise], "lr": settings.latent_rate},
        ]
        result = optimize_clips(
            render,
            lambda mel: self._compute_losses(mel, target, rng),
            weights_of_round(settings, index),
            torch.optim.Adam(groups, betas=(0.5, 0.999)),
            settings.steps,
            after_backward=partial(self.meta.accumulate, generator),
        )
        self.meta.finish_round(generator)
        self.running.update(result.batch_moments)
        if self.proxy is not None:
            self.proxy.update(result.mel, index)
        return result

    def _compute_losses(
        self, mel: Tensor, target: Tensor, rng: torch.Generator
    ) -> tuple[LossTerms, ForwardPass]:
        view, view_target = transforms.with_timeline(lambda both: self.view(both, rng), mel, target)
        forward_pass = forward_with_stats(self.teacher.network, view, self.runtime)
        terms = teacher_terms(
            forward_pass,
            view,
            view_target,
            self.proxy,
            relative=self.settings.relative,
            running=self.running,
        )
        return terms, forward_pass

    def state_dict(self) -> dict[str, Any]:
        """Return everything the next round depends on."""
        return {
            "meta": self.meta.state_dict(),
            "running": self.running.state_dict(),
            "proxy": proxy_state(self.proxy),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.meta.load_state_dict(state["meta"])
        self.running.load_state_dict(state["running"], self.runtime.device)
        load_proxy_state(self.proxy, state["proxy"])
