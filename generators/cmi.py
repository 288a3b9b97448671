"""CMI: clips that are told from all earlier ones by what the teacher sees in two views of each.

Source: Fang et al., "Contrastive Model Inversion for Data-Free Knowledge Distillation", IJCAI 2021, arXiv:2105.08584:

    L = class_prior CE + batch_norm L_BN + contrast L_cr + adversary L_adv

Each round begins with a fresh generator, which is moved together with its noise. L_cr compares, after a learned
projection, the means of what came into the teacher's batch norms: of part of a clip, of the whole clip, and of up to
4,096 clips drawn from a bank of past ones. The defaults are those of the authors' scripts (200 steps a round of 256
clips; here it has as many as it is asked for, 64; the paper's tables say 500). Differs: rows of the bank are negatives
only, their own loss is left out, which reaches the projection alone and costs seventeen times the rest; Adam's first beta is
0.5 for the projection, too (theirs 0.9), and biases of the generator begin as PyTorch draws them (theirs at 0); a small
student in the making, which learns for 10 steps a round where 400 are published, stands for the one that is distilled from the
store afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frami.audio import transforms
from frami.core import seeds
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.core.settings import loss_weights, setting, weight
from frami.inversion import losses
from frami.inversion.hooks import ForwardPass, batch_norms, forward_with_stats
from frami.inversion.loop import RoundResult, optimize_clips
from frami.inversion.proxy import make_proxy
from frami.inversion.upsampler import Upsampler
from frami.inversion.views import get_views
from frami.models.model import Model


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every number of CMI."""

    steps: int = setting(200, "steps a round", low=1)
    class_prior: float = weight(1.0, "weight of the class prior")
    batch_norm: float = weight(1.0, "weight of the batch-norm moments")
    relative: bool = setting(
        False, "take the moments relative to the teacher's spread; published: as they are"
    )
    contrast: float = weight(0.8, "weight of the contrast")
    temperature: float = setting(0.1, "temperature of the contrast", low=0.001)
    bank: int = setting(40960, "clips that the bank holds", low=1)
    negatives: int = setting(4096, "clips of the bank that a step draws", low=0)
    adversary: float = weight(0.5, "weight of the disagreement with a student in the making")
    latent: int = setting(256, "size of the noise", low=1)
    learning_rate: float = setting(1e-3, "of generator, noise and projection", low=0)
    proxy: str = setting("small", "network of that student")
    proxy_steps: int = setting(10, "steps that it learns after each round", low=0)
    proxy_memory: int = setting(2048, "clips that it remembers", low=1)
    views: str = setting("audio", "views that are judged: audio, image as published, or none")


class Projection(nn.Sequential):
    """Features ``(B, C)`` to the unit sphere, ``(B, 256)``."""

    def __init__(self, channels: int) -> None:
        super().__init__(nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, 256))

    def forward(self, features: Tensor) -> Tensor:
        return F.normalize(super().forward(features.float()), dim=1)


class Method:
    """The state that lives through the rounds: the projection, the bank, the student."""

    def __init__(self, teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> None:
        self.teacher, self.settings, self.runtime, self.seed = teacher, settings, runtime, seed
        self.whole, self.part = get_views(settings.views)
        layers = batch_norms(teacher.network).values()
        channels = sum(layer.num_features for layer in layers) or teacher.network.channels
        with seeds.seeded(seed, Stream.GENERATOR_WEIGHTS):
            self.projection = Projection(channels).to(runtime.device)
        self.optimizer = torch.optim.Adam(
            self.projection.parameters(), lr=settings.learning_rate, betas=(0.5, 0.999)
        )
        self.bank = torch.zeros(0, channels, dtype=torch.float16)
        self.proxy = make_proxy(teacher, settings, runtime, seed)

    def run_round(self, number: int, target: Tensor, frames: int) -> RoundResult:
        """Return finished clips ``(B, F, frames)``, one for each target ``(B,)``."""
        settings, runtime = self.settings, self.runtime
        target, rng = target.to(runtime.device), seeds.make_rng(self.seed, Stream.ROUND, number)
        with seeds.seeded(self.seed, Stream.FRESH_GENERATOR_WEIGHTS, number):
            generator = self._fresh()
        noise = generator.sample_noise(len(target), rng, runtime.device).requires_grad_(True)
        every = loss_weights(settings)

        def make() -> Tensor:
            with runtime.autocast():
                return generator(noise, frames)

        def after() -> None:
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)

        optimizer = torch.optim.Adam(
            [*generator.parameters(), noise], lr=settings.learning_rate, betas=(0.5, 0.999)
        )
        inverted = optimize_clips(
            make,
            lambda mel: self._judge(mel, target, rng),
            every,
            optimizer,
            settings.steps,
            after_backward=after,
        )
        if settings.contrast:
            self._remember(inverted.mel, rng)
        self.proxy.update(inverted.mel, number)
        return inverted

    def _fresh(self) -> Upsampler:
        """Return a generator whose weights are drawn from N(0, 0.02)."""
        generator = Upsampler.for_teacher(self.teacher, self.settings.latent)
        for layer in generator.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.normal_(layer.weight, 0.0, 0.02)
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, 1.0, 0.02)
        self.runtime.place(generator)
        return generator.train()

    def _judge(
        self, mel: Tensor, target: Tensor, rng: torch.Generator
    ) -> dict[str, Callable[[], Tensor]]:
        view, wanted = transforms.with_timeline(lambda both: self.whole(both, rng), mel, target)
        heard = forward_with_stats(self.teacher.network, view, self.runtime, each_clip=True)
        seen = heard.batch_norm
        return {
            "class_prior": lambda: losses.class_prior_loss(heard.output, wanted),
            "batch_norm": lambda: losses.batch_norm_loss(
                seen.batch, seen.stored, relative=self.settings.relative
            ),
            "contrast": lambda: self._contrast(mel, heard, rng),
            "adversary": lambda: losses.adversarial_kl(heard.output, self.proxy.predict(view)),
        }

    def _contrast(self, mel: Tensor, whole: ForwardPass, rng: torch.Generator) -> Tensor:
        """Return how badly part of each clip is told from other clips, and from those of the bank, by the whole of it."""
        part = forward_with_stats(
            self.teacher.network, self.part(mel, rng), self.runtime, each_clip=True
        )
        kept = self.bank[
            torch.randperm(len(self.bank), generator=rng)[: self.settings.negatives]
        ].to(mel.device)
        return losses.info_nce(
            self.projection(_clip_features(part)),
            self.projection(_clip_features(whole).detach()),
            self.projection(kept) if len(kept) else None,
            temperature=self.settings.temperature,
        )

    @torch.no_grad()
    def _remember(self, mel: Tensor, rng: torch.Generator) -> None:
        """Put what the teacher sees in whole clips into the bank; the oldest leave."""
        heard = forward_with_stats(
            self.teacher.network, self.whole(mel, rng), self.runtime, each_clip=True
        )
        self.bank = torch.cat([_clip_features(heard).half().cpu(), self.bank])[: self.settings.bank]

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next round depends on, as plain tensors, numbers and lists."""
        return {
            "projection": self.projection.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "bank": self.bank,
            "proxy": self.proxy.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.projection.load_state_dict(state["projection"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.bank = state["bank"]
        self.proxy.load_state_dict(state["proxy"])


def _clip_features(heard: ForwardPass) -> Tensor:
    """Return the features ``(B, C)`` by which clips are told apart; a teacher without batch norm gives its frames' means."""
    clips = list(heard.batch_norm.per_clip.values())
    return torch.cat(clips, dim=1) if clips else heard.output.hidden.float().mean(dim=2)
