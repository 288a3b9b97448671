"""NAYER: a generator fed with embeddings of the class names, through a randomly drawn noisy layer.

Source: Tran et al., "NAYER: Noisy Layer Data Generation for Efficient and Effective Data-free
Knowledge Distillation", CVPR 2024, arXiv:2310.00258:

    L = class_prior CE + batch_norm L_BN + adversary L_adv

The generator's input is a constant embedding of the class, and no noise. Clips vary through the
random weights of the noisy layer, a linear layer between embedding and generator, which is drawn
anew for every round, as is Adam. In L_BN the moments are averaged with those of past rounds. L_adv
is minus the divergence of student from teacher on clips that both classify alike.

Published: rounds of 400 clips, and as in the authors' code 1,000 outputs of the noisy layer and 30
steps per round for 10 classes, 40 for 100, 60 for 200. The generator is drawn anew every ten epochs
of two rounds each. L_adv counts after a warm-up of 20 epochs of ten rounds each, in which no
student is trained and a generator lasts 100 rounds.

Differs: A round has the batch size, 64 clips by default. L_adv counts after twenty rounds. A small
proxy student takes the part of the student, which is distilled from the store afterwards; it is
trained from the first round on, for 10 steps per round where 200 are published. Embeddings do not
come from CLIP: they are computed from the letters of the class names (``names``, hashed groups of
two and three letters), learned with the generator (``learned``), or read from a file with one row
per class (.npy), for example from a text model. One noisy layer serves all classes of the batch: it
has one linear map for each repetition of a class in the batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from frami.core import seeds
from frami.core.errors import UsageError
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.core.settings import setting
from frami.inversion.class_embeddings import class_embeddings
from frami.inversion.hooks import ForwardPass, RunningMoments, forward_with_stats
from frami.inversion.loop import LossTerms, RoundResult, optimize_clips
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
    """Settings of NAYER."""

    steps: int = setting(
        0,
        "optimization steps per round; 0: as published, 30 up to 10 classes, 40 up to 100, else 60",
        low=0,
    )
    embedding: str = setting(
        "names", "class embeddings: names, learned, or a .npy file with one row per class"
    )
    class_prior: float = class_prior_weight(0.5)
    adversary: float = adversary_weight(1.33)
    latent: int = setting(1000, "outputs of the noisy layer", low=1)
    learning_rate: float = setting(
        4e-3, "learning rate of generator, noisy layer and learned embeddings", low=0
    )
    fresh: int = setting(20, "rounds after which the generator is drawn anew", low=1)

    def for_teacher(self, teacher: Model) -> Self:
        """Return the settings with the published number of steps, if none is given."""
        return self if self.steps else replace(self, steps=published_steps(len(teacher.labels)))


def published_steps(classes: int) -> int:
    """Return the steps per round of the authors' scripts for about this number of classes.

    They have 30 for CIFAR-10, 40 for CIFAR-100 and 60 for the 200 classes of Tiny ImageNet.
    """
    if classes <= 10:
        return 30
    return 40 if classes <= 100 else 60


class NoisyLayer(nn.Module):
    """Random linear maps of embeddings ``(B, E)``, one per repetition of a class in a batch."""

    def __init__(self, embedding: int, latent: int, copies: int) -> None:
        super().__init__()
        self.maps = nn.Parameter(torch.randn(copies, embedding, latent))
        self.offsets = nn.Parameter(torch.zeros(copies, latent))

    def forward(self, embedded: Tensor, copy: Tensor) -> Tensor:
        """Return the generator's input ``(B, Z)``; ``copy`` ``(B,)`` is the map of each clip."""
        return torch.bmm(embedded.unsqueeze(1), self.maps[copy]).squeeze(1) + self.offsets[copy]


class Method:
    """Embeddings, generator, running moments and proxy student, which are kept between rounds."""

    def __init__(self, teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> None:
        if teacher.task != "single-label":
            raise UsageError(
                "The method nayer makes clips of one class, but this teacher's task is "
                f"{teacher.task}. Use the method frami, which supports every task."
            )
        self.settings = settings = settings.for_teacher(teacher)
        self.teacher, self.runtime, self.seed = teacher, runtime, seed
        self.view, _ = get_views(settings.views)
        with seeds.seeded(seed, Stream.CLASS_EMBEDDINGS):
            self.embedded = class_embeddings(teacher.labels, settings.embedding).to(runtime.device)
        self.embedded.requires_grad_(settings.embedding == "learned")
        self.running = RunningMoments(settings.momentum)
        self.proxy = make_proxy(teacher, settings, runtime, seed)
        self.generation = 0
        self._draw_generator(0)

    def _draw_generator(self, index: int) -> None:
        """Draw the generator anew at the start of a round."""
        with seeds.seeded(self.seed, Stream.FRESH_GENERATOR_WEIGHTS, index):
            self.generator = Upsampler.for_teacher(self.teacher, self.settings.latent)
        self.runtime.place(self.generator).train()
        self.norm = nn.BatchNorm1d(self.embedded.shape[1]).to(self.runtime.device)

    def run_round(self, index: int, target: Tensor, n_frames: int) -> RoundResult:
        """Return finished clips ``(B, F, n_frames)``, one for each target."""
        settings, runtime = self.settings, self.runtime
        # A shard does not make every round, so that it can miss the multiples of ``fresh``.
        if index // settings.fresh != self.generation:
            self.generation = index // settings.fresh
            self._draw_generator(index)
        target, rng = target.to(runtime.device), seeds.make_rng(self.seed, Stream.ROUND, index)
        # How often the class of each clip occurs before it in the batch.
        copy = torch.stack([(target[:i] == target[i]).sum() for i in range(len(target))])
        with seeds.seeded(self.seed, Stream.NOISY_LAYER, index):
            noisy = NoisyLayer(self.embedded.shape[1], settings.latent, int(copy.max()) + 1)
        noisy.to(runtime.device)
        networks = nn.ModuleList([self.generator, self.norm, noisy])
        optimizer = torch.optim.Adam(
            [*networks.parameters(), self.embedded], lr=settings.learning_rate, betas=(0.5, 0.999)
        )

        def render() -> Tensor:
            with runtime.autocast():
                noise = noisy(self.norm(self.embedded[target]), copy)
                mel: Tensor = self.generator(noise, n_frames)
                return mel

        result = optimize_clips(
            render,
            lambda mel: self._compute_losses(self.view(mel, rng), target),
            weights_of_round(settings, index),
            optimizer,
            settings.steps,
        )
        self.running.update(result.batch_moments)
        if self.proxy is not None:
            self.proxy.update(result.mel, index)
        return result

    def _compute_losses(self, view: Tensor, target: Tensor) -> tuple[LossTerms, ForwardPass]:
        forward_pass = forward_with_stats(self.teacher.network, view, self.runtime)
        terms = teacher_terms(
            forward_pass,
            view,
            target,
            self.proxy,
            relative=self.settings.relative,
            running=self.running,
        )
        return terms, forward_pass

    def state_dict(self) -> dict[str, Any]:
        """Return everything the next round depends on."""
        return {
            "embedded": self.embedded.detach(),
            "generation": self.generation,
            "generator": self.generator.state_dict(),
            "norm": self.norm.state_dict(),
            "running": self.running.state_dict(),
            "proxy": proxy_state(self.proxy),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        with torch.no_grad():
            self.embedded.copy_(state["embedded"])
        self.generation = state.get("generation", 0)
        self.generator.load_state_dict(state["generator"])
        self.norm.load_state_dict(state["norm"])
        self.running.load_state_dict(state["running"], self.runtime.device)
        load_proxy_state(self.proxy, state["proxy"])
