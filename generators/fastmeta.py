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

from frami.audio import transforms as views
from frami.core import seeds
from frami.core.runtime import Machine
from frami.core.settings import setting, weight, weights
from frami.inversion import losses as priors
from frami.inversion import proxy as rival
from frami.inversion.hooks import Heard, PastMoments, hear
from frami.inversion.loop import Inverted, invert
from frami.inversion.meta import MetaLearned
from frami.inversion.upsampler import Upsampler
from frami.models.model import Model


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every number of FastMeta."""

    steps: int = setting(10, "steps a round", low=1)
    form: str = setting("fomaml", "how the start learns: fomaml or reptile")
    class_prior: float = weight(0.5, "weight of the class prior")
    batch_norm: float = weight(10.0, "weight of the batch-norm moments")
    relative: bool = setting(False, "take the moments relative to the teacher's spread; published: as they are")
    momentum: float = setting(0.9, "part of past rounds in the moments compared", low=0, high=0.999)
    adversary: float = weight(1.33, "weight of the disagreement with a student in the making")
    latent: int = setting(256, "size of the noise", low=1)
    learning_rate: float = setting(2e-3, "of the generator within a round; its start learns at steps times that", low=0)
    latent_rate: float = setting(1e-2, "of the noise within a round", low=0)
    rival: str = setting("small", "network of that student")
    rival_steps: int = setting(10, "steps that it learns after each round", low=0)
    rival_memory: int = setting(2048, "clips that it remembers", low=1)
    rival_from: int = setting(20, "rounds before its disagreement counts", low=0)
    views: str = setting("audio", "views that are judged: audio, image as published, or none")


class Generator:
    """The state that lives through the rounds: the meta-learned start, the moments so far, the student."""

    def __init__(self, teacher: Model, settings: Settings, machine: Machine, seed: int) -> None:
        self.teacher, self.settings, self.machine, self.seed = teacher, settings, machine, seed
        self.view, _ = views.of(settings.views)
        with seeds.seeded(seed, 10):
            start = Upsampler.under(teacher, settings.latent)
        machine.place(start)
        self.meta = MetaLearned(start, settings.learning_rate * settings.steps, settings.form)
        self.past = PastMoments(settings.momentum)
        self.rival = rival.of(teacher, settings, machine, seed)

    def round(self, number: int, target: Tensor, frames: int) -> Inverted:
        """Return finished clips ``(B, F, frames)``, one for each target ``(B,)``."""
        settings, target = self.settings, target.to(self.machine.device)
        draw = seeds.generator(self.seed, 20, number)
        generator = cast(Upsampler, self.meta.begin())
        noise = generator.draw(len(target), draw, self.machine.device).requires_grad_(True)
        every = weights(settings)
        if number < settings.rival_from:
            every["adversary"] = 0.0
        heard: list[Heard] = []
        past = self.past

        def make() -> Tensor:
            with self.machine.autocast():
                return generator(noise, frames)

        def judge(mel: Tensor) -> dict[str, Callable[[], Tensor]]:
            view, wanted = views.with_timeline(lambda both: self.view(both, draw), mel, target)
            heard[:] = [now := hear(self.teacher.network, view, self.machine)]
            return {
                "class_prior": lambda: priors.class_prior(now.said, wanted),
                "batch_norm": lambda: priors.batch_norm_moments(
                    now.seen.batch, now.seen.stored, past.moments, past.momentum, relative=settings.relative
                ),
                "adversary": lambda: priors.disagreement(now.said, self.rival.says(view)),
            }

        groups = [
            {"params": generator.parameters(), "lr": settings.learning_rate},
            {"params": [noise], "lr": settings.latent_rate},
        ]
        optimiser = torch.optim.Adam(groups, betas=(0.5, 0.999))
        gather = partial(self.meta.gather, generator)
        inverted = invert(make, judge, every, optimiser, settings.steps, after_backward=gather)
        self.meta.finish(generator)
        past.add(heard[0].seen.batch)
        self.rival.hear(inverted.mel, number)
        return inverted

    def state(self) -> dict[str, Any]:
        """Return all that the next round depends on, as plain tensors, numbers and lists."""
        return {
            "meta": self.meta.state(),
            "past": self.past.state(),
            "rival": self.rival.state(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.meta.load(state["meta"])
        self.past.load(state["past"], self.machine.device)
        self.rival.load(state["rival"])
