"""FRAMI: feature-invariant contrastive inversion of an audio classifier, from a meta-learned start.

Source: Kang et al., "Feature-Rich Audio Model Inversion for Data-Free Knowledge Distillation Towards General Sound
Classification", ICASSP 2023, arXiv:2303.07643. Published: spectrograms are inverted under a feature-invariant
contrastive loss, and audio varies in length. The paper's equations, weights and networks are not known to us; ours:

    L = class CE + bn L_BN + contrast (L_before + L_after) + adversary L_adv

    L_BN      `priors.batch_norm_moments`, with an average over past rounds
    L_before  `priors.contrast` of the frames before statistics pooling, projected and then averaged over time
    L_after   `priors.contrast` of the statistics after it, projected
    L_adv     `priors.disagreement` with a student in the making

By default, contrast and adversary weigh nothing and cost nothing. With the contrast, a clip takes two thirds longer, and
students mostly gain a little; with the adversary, it takes a third to a half longer, and they gain on spoken digits and
lose on ESC-50 (three seeds of each, `evaluate/bench.md`). The two views that must agree are the clip rotated in time, and
it rotated otherwise with other gain and masks. Pooling makes a shorter part a legal input too (``crop``), but parts that
must agree make for clips that hardly change over time.

The clips come out of a light decoder, which each round is moved for a few steps from a meta-learned start (first-order
MAML, as FastMeta: Fang et al., AAAI 2022, arXiv:2112.06253). What it has learned in a round serves more clips than the few
that it learned from: others, from latents of their own, are kept beside them (``siblings``), at the cost of decoding
them. A store then comes from many decoders, each moved by few clips, and not from few moved by many. From some
hundred clips a student mostly learns more if each was optimised itself (``siblings=0``), which costs two to three times as
much; from thousands it does not (one seed, `evaluate/bench.md`).

A decoder that lives through many rounds comes to make nearly the same clip of a class each time; so each clip is
recorded under circumstances of its own, a random level, filter and envelope, with which it has to be of its class. To
what the decoder says, which is smooth, comes the grain that every noise has in a spectrogram, as much of it as the
decoder chooses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor

from frami.audio import filterbanks, transforms
from frami.core import seeds
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.core.settings import loss_weights, setting, weight
from frami.inversion import losses, views
from frami.inversion.contrastive import ContrastiveHead
from frami.inversion.decoder import Decoder, Latents
from frami.inversion.hooks import ForwardPass, RunningMoments, forward_with_stats
from frami.inversion.loop import RoundResult, optimize_clips
from frami.inversion.meta import MetaLearner
from frami.inversion.proxy import make_proxy
from frami.models.model import Model
from frami.models.network import Output


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every number of FRAMI's first stage."""

    steps: int = setting(20, "steps a round", low=1)
    siblings: int = setting(
        3,
        "further clips for each that is optimised, from the decoder that it leaves; below about 1,000 clips, 0 mostly makes "
        "a better student, at two to three times the cost",
        low=0,
    )
    max_frames: int = setting(
        80, "most frames of a clip of one label, unless --frame-range says otherwise", low=1
    )
    class_prior: float = weight(1.0, "weight of the class prior")
    batch_norm: float = weight(10.0, "weight of the batch-norm moments")
    momentum: float = setting(0.9, "part of past rounds in the moments compared", low=0, high=0.999)
    contrast: float = weight(
        0.0, "weight of the feature-invariant contrast, which takes two thirds longer; try 0.2"
    )
    temperature: float = setting(0.1, "temperature of the contrast", low=0.001)
    queue: int = setting(1024, "clips of past rounds to be told from", low=0)
    crop: float = setting(1.0, "length of the second view, as a part of the clip", low=0.1, high=1)
    level: float = setting(
        0.4, "deviation of the clips' random levels, in standard deviations of the input", low=0
    )
    filter: float = setting(0.4, "the same of a random curve along the bands", low=0)
    envelope: float = setting(0.2, "the same of a random curve along time", low=0)
    noise_texture: float = setting(
        1.0, "how far powers differ by chance from cell to cell, 1 as those of noise do", low=0
    )
    adversary: float = weight(
        0.0, "weight of the disagreement with a student in the making; for words, try 2"
    )
    proxy: str = setting("small", "network of that student")
    proxy_steps: int = setting(10, "steps that it learns after each round", low=0)
    proxy_memory: int = setting(2048, "clips that it remembers", low=1)
    proxy_start: int = setting(2, "rounds before its disagreement counts", low=0)
    learning_rate: float = setting(5e-3, "of the decoder within a round", low=0)
    latent_rate: float = setting(2e-2, "of the latents within a round", low=0)
    meta_rate: float = setting(1e-2, "of the decoder's meta-learned start", low=0)


class Method:
    """The state that lives through the rounds: the meta-learned decoder, the moments so far, the queue, the proxy."""

    def __init__(self, teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> None:
        self.teacher, self.settings, self.runtime, self.seed = teacher, settings, runtime, seed
        front_end = teacher.front_end
        with seeds.seeded(seed, Stream.GENERATOR_WEIGHTS):
            timed = teacher.task == "sound-events"
            self.decoder = Decoder(
                front_end.n_mels, len(teacher.labels), front_end.value_range, timed=timed
            )
            self.contrast = ContrastiveHead(teacher.network.channels, settings.queue)
        runtime.place(self.decoder)
        self.contrast.to(runtime.device)
        self.meta = MetaLearner(self.decoder, settings.meta_rate)
        self.contrast_optimizer = torch.optim.Adam(
            self.contrast.parameters(), lr=settings.learning_rate
        )
        self.past = RunningMoments(settings.momentum)
        self.proxy = make_proxy(teacher, settings, runtime, seed)

    def run_round(self, number: int, target: Tensor, frames: int) -> RoundResult:
        """Return finished clips ``(B, F, frames)``, one for each target ``(B,)``."""
        settings, target = self.settings, target.to(self.runtime.device)
        rng = seeds.make_rng(self.seed, Stream.ROUND, number)
        decoder = cast(Decoder, self.meta.start_round())
        # One clip alone would have no moments.
        own, *others = target.split(max(2, -(-len(target) // (1 + settings.siblings))))
        latents, recording, grain = self._drawn(decoder, len(own), frames, rng)
        optimizer = torch.optim.Adam(
            [
                {"params": decoder.parameters(), "lr": settings.learning_rate},
                {"params": latents.parameters(), "lr": settings.latent_rate},
            ],
            betas=(0.5, 0.999),
        )
        every = loss_weights(settings)
        if number < settings.proxy_start:
            every["adversary"] = 0.0
        judge = LossTerms(self, own, rng)
        inverted = optimize_clips(
            lambda: self._decode(decoder, own, latents, recording, grain),
            judge,
            every,
            optimizer,
            settings.steps,
            after_backward=lambda: self._after_backward(decoder),
        )
        with torch.no_grad():
            siblings = [
                self._decode(decoder, some, *self._drawn(decoder, len(some), frames, rng))
                for some in others
            ]
        inverted = replace(inverted, mel=torch.cat([inverted.mel, *siblings]))
        self.meta.finish_round(decoder)
        self._remember(judge, inverted, number)
        return inverted

    def _drawn(
        self, decoder: Decoder, batch: int, frames: int, rng: torch.Generator
    ) -> tuple[Latents, Tensor, Tensor]:
        """Return what some clips are decoded from, and the recording and the grain that come to it."""
        latents = decoder.sample_latents(batch, frames, rng, self.runtime.device)
        return latents, self._recording(batch, frames, rng), self._grain(batch, frames, rng)

    def _recording(self, batch: int, frames: int, rng: torch.Generator) -> Tensor:
        """Return what the circumstances of its recording add to each clip, ``(B, F, frames)``."""
        level = self.settings.level * torch.randn(batch, 1, 1, generator=rng)
        added = transforms.curve(
            level.expand(batch, self.decoder.bands, frames), rng, dim=1, amount=self.settings.filter
        )
        return transforms.curve(added, rng, dim=2, amount=self.settings.envelope).to(
            self.runtime.device
        )

    def _grain(self, batch: int, frames: int, rng: torch.Generator) -> Tensor:
        """Return how far the log powers of noise are from their mean by chance, ``(B, F, frames)``."""
        front_end = self.teacher.front_end
        shape = filterbanks.effective_bins(front_end).view(1, -1, 1).repeat(batch, 1, frames)
        power = torch._standard_gamma(shape, generator=rng) / shape
        return (self.settings.noise_texture * power.clamp_min(1e-4).log() / front_end.std).to(
            self.runtime.device
        )

    def _decode(
        self, decoder: Decoder, target: Tensor, latents: Latents, recording: Tensor, grain: Tensor
    ) -> Tensor:
        with self.runtime.autocast():
            return decoder(latents, target, recording.shape[2], recording, grain)

    def _after_backward(self, decoder: Decoder) -> None:
        self.meta.accumulate(decoder)
        if self.settings.contrast:
            self.contrast_optimizer.step()
            self.contrast_optimizer.zero_grad(set_to_none=True)

    def _remember(self, judge: LossTerms, inverted: RoundResult, number: int) -> None:
        self.past.update(judge.heard.batch_norm.batch)
        if self.settings.contrast:
            self.contrast.enqueue(judge.heard.output)
        self.proxy.update(inverted.mel, number)

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next round depends on, as plain tensors, numbers and lists."""
        return {
            "meta": self.meta.state_dict(),
            "contrast": self.contrast.state_dict(),
            "queues": [self.contrast.queue_before, self.contrast.queue_after],
            "contrast_optimizer": self.contrast_optimizer.state_dict(),
            "past": self.past.state_dict(),
            "proxy": self.proxy.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.meta.load_state_dict(state["meta"])
        self.contrast.queue_before, self.contrast.queue_after = state["queues"]
        self.contrast.load_state_dict(state["contrast"])
        self.contrast_optimizer.load_state_dict(state["contrast_optimizer"])
        self.past.load_state_dict(state["past"], self.runtime.device)
        self.proxy.load_state_dict(state["proxy"])


class LossTerms:
    """The losses of one round; it keeps what the teacher last said and saw."""

    def __init__(self, generator: Method, wanted: Tensor, rng: torch.Generator) -> None:
        self.generator, self.wanted, self.rng = generator, wanted, rng
        self.heard: ForwardPass

    def __call__(self, mel: Tensor) -> dict[str, Callable[[], Tensor]]:
        """Return what computes the unweighted losses of clips ``(B, F, N)``."""
        generator = self.generator
        view, wanted = transforms.with_timeline(
            lambda both: transforms.roll(both, self.rng), mel, self.wanted
        )
        self.heard = forward_with_stats(generator.teacher.network, view, generator.runtime)
        said, seen, past = self.heard.output, self.heard.batch_norm, generator.past
        return {
            "class_prior": lambda: losses.class_prior_loss(said, wanted),
            "batch_norm": lambda: losses.batch_norm_loss(
                seen.batch, seen.stored, past.moments, past.momentum
            ),
            "contrast": lambda: self._contrast(mel, said),
            "adversary": lambda: losses.adversarial_kl(said, generator.proxy.predict(view)),
        }

    def _contrast(self, mel: Tensor, said: Output) -> Tensor:
        """Return how badly another view of each clip is told from other clips by what the teacher said of it."""
        generator, settings = self.generator, self.generator.settings
        part = transforms.crop(
            transforms.roll(mel, self.rng),
            self.rng,
            frames=max(1, round(settings.crop * mel.shape[2])),
        )
        with generator.runtime.autocast():
            heard = generator.teacher.network(views.gain_and_mask(part, self.rng))
        return generator.contrast.loss(heard, said, settings.temperature)
