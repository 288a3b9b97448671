"""FastMeta: a generator that is moved for a few steps a round from a meta-learned start.

Source: Fang et al., "Up to 100x Faster Data-free Knowledge Distillation", AAAI 2022, arXiv:2112.06253, with the numbers
of its ten-step form (published for rounds of 256 clips; here a round has as many as it is asked for, 64):

    L = class_prior CE + batch_norm L_BN + adversary L_adv

L_BN with an average over past rounds, L_adv (`priors.disagreement`) after twenty rounds. Differs: a small student in
the making, which learns from the first round on, for 10 steps where 400 are published, stands for the one that is
distilled from the store afterwards; the generator's first layer is never reset; Reptile goes without their factor of
67, which Adam would divide out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from frami.audio import transforms
from frami.core import seeds
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.core.settings import loss_weights, setting, weight
from frami.inversion import losses
from frami.inversion.hooks import ForwardPass, RunningMoments, forward_with_stats
from frami.inversion.loop import RoundResult, optimize_clips
from frami.inversion.meta import MetaLearner
from frami.inversion.proxy import make_proxy
from frami.inversion.upsampler import Upsampler
from frami.inversion.views import get_views
from frami.models.model import Model


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every number of FastMeta."""

    steps: int = setting(10, "steps a round", low=1)
    form: str = setting("fomaml", "how the start learns: fomaml or reptile")
    class_prior: float = weight(0.5, "weight of the class prior")
    batch_norm: float = weight(10.0, "weight of the batch-norm moments")
    relative: bool = setting(
        False, "take the moments relative to the teacher's spread; published: as they are"
    )
    momentum: float = setting(0.9, "part of past rounds in the moments compared", low=0, high=0.999)
    adversary: float = weight(1.33, "weight of the disagreement with a student in the making")
    latent: int = setting(256, "size of the noise", low=1)
    learning_rate: float = setting(
        2e-3, "of the generator within a round; its start learns at steps times that", low=0
    )
    latent_rate: float = setting(1e-2, "of the noise within a round", low=0)
    proxy: str = setting("small", "network of that student")
    proxy_steps: int = setting(10, "steps that it learns after each round", low=0)
    proxy_memory: int = setting(2048, "clips that it remembers", low=1)
    proxy_start: int = setting(20, "rounds before its disagreement counts", low=0)
    views: str = setting("audio", "views that are judged: audio, image as published, or none")


class Method:
    """The state that lives through the rounds: the meta-learned start, the moments so far, the student."""

    def __init__(self, teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> None:
        self.teacher, self.settings, self.runtime, self.seed = teacher, settings, runtime, seed
        self.view, _ = get_views(settings.views)
        with seeds.seeded(seed, Stream.GENERATOR_WEIGHTS):
            start = Upsampler.for_teacher(teacher, settings.latent)
        runtime.place(start)
        self.meta = MetaLearner(start, settings.learning_rate * settings.steps, settings.form)
        self.past = RunningMoments(settings.momentum)
        self.proxy = make_proxy(teacher, settings, runtime, seed)

    def run_round(self, number: int, target: Tensor, frames: int) -> RoundResult:
        """Return finished clips ``(B, F, frames)``, one for each target ``(B,)``."""
        settings, target = self.settings, target.to(self.runtime.device)
        rng = seeds.make_rng(self.seed, Stream.ROUND, number)
        generator = cast(Upsampler, self.meta.start_round())
        noise = generator.sample_noise(len(target), rng, self.runtime.device).requires_grad_(True)
        every = loss_weights(settings)
        if number < settings.proxy_start:
            every["adversary"] = 0.0
        heard: list[ForwardPass] = []
        past = self.past

        def make() -> Tensor:
            with self.runtime.autocast():
                return generator(noise, frames)

        def judge(mel: Tensor) -> dict[str, Callable[[], Tensor]]:
            view, wanted = transforms.with_timeline(lambda both: self.view(both, rng), mel, target)
            heard[:] = [now := forward_with_stats(self.teacher.network, view, self.runtime)]
            return {
                "class_prior": lambda: losses.class_prior_loss(now.output, wanted),
                "batch_norm": lambda: losses.batch_norm_loss(
                    now.batch_norm.batch,
                    now.batch_norm.stored,
                    past.moments,
                    past.momentum,
                    relative=settings.relative,
                ),
                "adversary": lambda: losses.adversarial_kl(now.output, self.proxy.predict(view)),
            }

        groups = [
            {"params": generator.parameters(), "lr": settings.learning_rate},
            {"params": [noise], "lr": settings.latent_rate},
        ]
        optimizer = torch.optim.Adam(groups, betas=(0.5, 0.999))
        gather = partial(self.meta.accumulate, generator)
        inverted = optimize_clips(
            make, judge, every, optimizer, settings.steps, after_backward=gather
        )
        self.meta.finish_round(generator)
        past.update(heard[0].batch_norm.batch)
        self.proxy.update(inverted.mel, number)
        return inverted

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next round depends on, as plain tensors, numbers and lists."""
        return {
            "meta": self.meta.state_dict(),
            "past": self.past.state_dict(),
            "proxy": self.proxy.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.meta.load_state_dict(state["meta"])
        self.past.load_state_dict(state["past"], self.runtime.device)
        self.proxy.load_state_dict(state["proxy"])
