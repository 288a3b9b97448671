"""CMI: contrastive model inversion, with a memory bank that keeps new clips different.

Source: Fang et al., "Contrastive Model Inversion for Data-Free Knowledge Distillation", IJCAI 2021,
arXiv:2105.08584. Each round starts with a fresh generator, optimized together with its noise:

    L = class_prior CE + batch_norm L_BN + contrast L_cr + adversary L_adv

L_cr is the InfoNCE loss between a view of part of a clip and a view of the whole clip. Its features
are a learned projection of the channel means at the inputs of the teacher's batch norms. Negatives
are the other clips of the batch and 4,096 clips drawn from a bank of past ones. L_adv is minus the
divergence of student from teacher on clips that both classify alike.

Published: the defaults are those of the authors' scripts, with 200 steps per round (the paper's
tables use 500) of 256 clips; here a round has the batch size, 64 by default.

Differs: Rows of the bank are negatives only. Their own loss is left out: it only reaches the
projection, and costs seventeen times as much as the rest. Adam's first beta is 0.5 for the
projection too (theirs 0.9), and the generator's biases are initialized by PyTorch (theirs to 0). A
small proxy student takes the part of the student, which is distilled from the store afterwards; it
is trained for 10 steps per round, where 400 are published.
"""

from __future__ import annotations

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
from frami.inversion.hooks import ForwardPass, batch_norms, forward_with_stats, stored_moments
from frami.inversion.loop import LossTerms, RoundResult, optimize_clips
from frami.inversion.proxy import adversary_weight, load_proxy_state, make_proxy, proxy_state
from frami.inversion.terms import ImageMethodSettings, batch_norm_weight, teacher_terms
from frami.inversion.upsampler import Upsampler
from frami.inversion.views import get_views
from frami.models.model import Model


@dataclass(frozen=True, kw_only=True)
class Settings(ImageMethodSettings):
    """Settings of CMI."""

    steps: int = setting(200, "optimization steps per round", low=1)
    batch_norm: float = batch_norm_weight(1.0)
    contrast: float = weight(0.8, "weight of the contrastive loss")
    temperature: float = setting(0.1, "temperature of the contrastive loss", low=0.001)
    bank: int = setting(40960, "past clips in the memory bank", low=1)
    negatives: int = setting(4096, "clips drawn from the memory bank per step", low=0)
    adversary: float = adversary_weight(0.5)
    latent: int = setting(256, "size of the noise vector", low=1)
    learning_rate: float = setting(1e-3, "learning rate of generator, noise and projection", low=0)


class Projection(nn.Sequential):
    """Features ``(B, C)`` to the unit sphere, ``(B, 256)``."""

    def __init__(self, channels: int) -> None:
        super().__init__(nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, 256))

    def forward(self, features: Tensor) -> Tensor:
        """Return the projected features, of unit length."""
        hidden = features.float()
        for layer in self:
            hidden = layer(hidden)
        return F.normalize(hidden, dim=1)


class Method:
    """The projection, the memory bank and the proxy student, which are kept between rounds."""

    def __init__(self, teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> None:
        self.teacher, self.settings, self.runtime, self.seed = teacher, settings, runtime, seed
        self.whole_view, self.part_view = get_views(settings.views)
        layers = batch_norms(teacher.network).values()
        channels = (
            sum(len(stored_moments(layer).mean) for layer in layers) or teacher.network.channels
        )
        with seeds.seeded(seed, Stream.GENERATOR_WEIGHTS):
            self.projection = Projection(channels).to(runtime.device)
        self.optimizer = torch.optim.Adam(
            self.projection.parameters(), lr=settings.learning_rate, betas=(0.5, 0.999)
        )
        self.bank = torch.zeros(0, channels, dtype=torch.float16)
        self.proxy = make_proxy(teacher, settings, runtime, seed)

    def run_round(self, index: int, target: Tensor, n_frames: int) -> RoundResult:
        """Return finished clips ``(B, F, n_frames)``, one for each target."""
        settings, runtime = self.settings, self.runtime
        target, rng = target.to(runtime.device), seeds.make_rng(self.seed, Stream.ROUND, index)
        with seeds.seeded(self.seed, Stream.FRESH_GENERATOR_WEIGHTS, index):
            generator = self._fresh_generator()
        noise = generator.sample_noise(len(target), rng, runtime.device).requires_grad_(True)

        def render() -> Tensor:
            with runtime.autocast():
                mel: Tensor = generator(noise, n_frames)
                return mel

        def update_projection() -> None:
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)

        optimizer = torch.optim.Adam(
            [*generator.parameters(), noise], lr=settings.learning_rate, betas=(0.5, 0.999)
        )
        result = optimize_clips(
            render,
            lambda mel: self._compute_losses(mel, target, rng),
            loss_weights(settings),
            optimizer,
            settings.steps,
            after_backward=update_projection,
        )
        if settings.contrast:
            self._update_bank(result.mel, rng)
        if self.proxy is not None:
            self.proxy.update(result.mel, index)
        return result

    def _fresh_generator(self) -> Upsampler:
        """Return a generator with weights drawn from N(0, 0.02)."""
        generator = Upsampler.for_teacher(self.teacher, self.settings.latent)
        for layer in generator.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.normal_(layer.weight, 0.0, 0.02)
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, 1.0, 0.02)
        self.runtime.place(generator)
        return generator.train()

    def _compute_losses(
        self, mel: Tensor, target: Tensor, rng: torch.Generator
    ) -> tuple[LossTerms, ForwardPass]:
        view, view_target = transforms.with_timeline(
            lambda both: self.whole_view(both, rng), mel, target
        )
        whole = self._forward(view)
        terms = teacher_terms(whole, view, view_target, self.proxy, relative=self.settings.relative)
        return {**terms, "contrast": lambda: self._contrast(mel, whole, rng)}, whole

    def _forward(self, mel: Tensor) -> ForwardPass:
        return forward_with_stats(self.teacher.network, mel, self.runtime, each_clip=True)

    def _contrast(self, mel: Tensor, whole: ForwardPass, rng: torch.Generator) -> Tensor:
        """Return the InfoNCE loss between parts of the clips and whole clips, with the bank."""
        part = self._forward(self.part_view(mel, rng))
        drawn = torch.randperm(len(self.bank), generator=rng)[: self.settings.negatives]
        negatives = self.bank[drawn].to(mel.device)
        return losses.info_nce(
            self.projection(_clip_features(part)),
            self.projection(_clip_features(whole).detach()),
            self.projection(negatives) if len(negatives) else None,
            temperature=self.settings.temperature,
        )

    @torch.no_grad()
    def _update_bank(self, mel: Tensor, rng: torch.Generator) -> None:
        """Put the features of whole clips into the bank; the oldest are dropped."""
        features = _clip_features(self._forward(self.whole_view(mel, rng))).half().cpu()
        self.bank = torch.cat([features, self.bank])[: self.settings.bank]

    def state_dict(self) -> dict[str, Any]:
        """Return everything the next round depends on."""
        return {
            "projection": self.projection.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "bank": self.bank,
            "proxy": proxy_state(self.proxy),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.projection.load_state_dict(state["projection"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.bank = state["bank"]
        load_proxy_state(self.proxy, state["proxy"])


def _clip_features(forward_pass: ForwardPass) -> Tensor:
    """Return the features ``(B, C)`` of each clip: the channel means at the batch norms' inputs.

    For a teacher without batch norm, they are the means of its hidden state over time.
    """
    means = list(forward_pass.batch_norm.per_clip.values())
    return torch.cat(means, dim=1) if means else forward_pass.output.hidden.float().mean(dim=2)
