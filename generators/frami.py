"""FRAMI: feature-invariant contrastive inversion of an audio classifier, with meta-learning.

Source: Kang et al., "Feature-Rich Audio Model Inversion for Data-Free Knowledge Distillation
Towards General Sound Classification", ICASSP 2023, arXiv:2303.07643.

Published: a feature-invariant contrastive loss, and clips that vary in length. We do not know the
paper's equations, weights and networks. The losses here are ours:

    L = class_prior CE + batch_norm L_BN + contrast (L_before + L_after) + adversary L_adv

- L_BN: distance of the teacher's batch-norm moments from those of its training data, relative to
  their spread, averaged with past rounds.
- L_before: InfoNCE loss of the hidden states before statistics pooling, projected and then averaged
  over time.
- L_after: InfoNCE loss of the statistics after pooling, projected.
- L_adv: minus the divergence of a proxy student from the teacher, on clips that both classify
  alike.

**Contrast.** It compares the clip, rotated in time, with a half of it that has another level,
frequency response and envelope, and masks. Negatives are clips of the same class. The second view
needs its own pass through the teacher, so only every second step computes it (``contrast_every``).

**Adversary.** Its weight is 0 by default. With it, a clip takes a third to a half longer; students
gain on spoken digits and lose on ESC-50 (`evaluate/findings.md`).

**Decoder.** Clips come from a light decoder. Each round optimizes a copy of it for a few steps,
starting from meta-learned weights (first-order MAML, as FastMeta: Fang et al., AAAI 2022,
arXiv:2112.06253).

**Siblings.** The first clips are all optimized. After them (``siblings_start``), a round optimizes
only some of its clips. The others (``siblings``) are decoded from their own latents by the
optimized decoder, which makes a clip two to three times cheaper. Students of some hundred clips
learn more from optimized ones (`evaluate/tried.md`).

**Diversity.** A decoder that is kept between rounds tends to collapse to one clip per class. So
each clip receives a random level, frequency response and envelope, with which the teacher must
still recognize the class.

**Noise texture.** The decoder's output is smooth. It adds noise with the statistics of a noise
spectrogram, scaled per cell.

**Random sounds.** Half of the clips (``sounds``) start at the spectrogram of a random sound
(`audio.synthesizer`) in place of the noise texture, and the decoder's output is added to it. These
clips have what the decoder cannot draw: harmonics, onsets and pauses. Of four times as many sounds
(``sound_choices``), the teacher chooses those that fit the targets. Half of the rounds of a store
are sounds alone, by `generators.synthesizer` (``default_mix``).

**Weak priors.** For a teacher with few batch norms, other losses join (`inversion.weak_priors`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from frami.audio import transforms
from frami.core import seeds
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.core.settings import setting, weight
from frami.inversion.conditions import ConditionSettings, sample_conditions
from frami.inversion.contrastive import Contrast
from frami.inversion.decoder import Decoder, DecoderInputs
from frami.inversion.hooks import ForwardPass, RunningMoments
from frami.inversion.loop import LossTerms, RoundResult, optimize_clips
from frami.inversion.meta import MetaLearner
from frami.inversion.proxy import load_proxy_state, make_proxy, proxy_state
from frami.inversion.random_sounds import choose_sounds
from frami.inversion.terms import RunningTermSettings, teacher_terms, weights_of_round
from frami.inversion.weak_priors import WeakPriors, WeakPriorSettings
from frami.models.model import Model


@dataclass(frozen=True, kw_only=True)
class Settings(RunningTermSettings, WeakPriorSettings, ConditionSettings):
    """Settings of FRAMI's inversion."""

    default_mix = MappingProxyType({"synthesizer": 0.5})

    steps: int = setting(10, "optimization steps per round", low=1)
    siblings: int = setting(
        3, "clips decoded beside each optimized clip; 0 makes a clip cost two to three times", low=0
    )
    siblings_start: int = setting(2000, "clips of a store before siblings are decoded", low=0)
    relative: bool = setting(
        True, "divide the batch-norm distance by the teacher's spread", omit_default=True
    )
    max_frames: int = setting(
        80, "longest clip in frames, for single-label teachers; frame_range overrides it", low=1
    )
    contrast: float = weight(0.05, "weight of the feature-invariant contrastive loss")
    contrast_every: int = setting(
        2, "steps for each computation of the contrastive loss; 1 is every step", low=1
    )
    temperature: float = setting(0.1, "temperature of the contrastive loss", low=0.001)
    queue: int = setting(1024, "past clips among the negatives of the contrastive loss", low=0)
    adversary: float = weight(
        0.0, "weight of the disagreement between teacher and proxy student; for words, try 2"
    )
    proxy_start: int = setting(2, "rounds before the disagreement counts", low=0)
    learning_rate: float = setting(5e-3, "learning rate of the decoder within a round", low=0)
    latent_rate: float = setting(2e-2, "learning rate of the latents within a round", low=0)
    meta_rate: float = setting(1e-2, "learning rate of the decoder's initial weights", low=0)

    @property
    def frame_limit(self) -> int:
        """Longest clip, in frames, made by default for a single-label teacher."""
        return self.max_frames


class Method:
    """Decoder, contrastive head, running moments and proxy student, kept between rounds."""

    def __init__(self, teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> None:
        self.teacher, self.settings, self.runtime, self.seed = teacher, settings, runtime, seed
        front_end = teacher.front_end
        with seeds.seeded(seed, Stream.GENERATOR_WEIGHTS):
            timed = teacher.task == "sound-events"
            self.decoder = Decoder(
                front_end.n_mels, len(teacher.labels), front_end.value_range, timed=timed
            )
            self.contrast = Contrast(
                teacher,
                settings,
                runtime,
                queue=settings.queue,
                every=settings.contrast_every,
                temperature=settings.temperature,
                learning_rate=settings.learning_rate,
            )
        runtime.place(self.decoder)
        self.meta = MetaLearner(self.decoder, settings.meta_rate)
        self.running = RunningMoments(settings.momentum)
        self.proxy = make_proxy(teacher, settings, runtime, seed)
        self.weak_priors = WeakPriors(teacher, settings, runtime.device)

    def run_round(self, index: int, target: Tensor, n_frames: int) -> RoundResult:
        """Return finished clips ``(B, F, n_frames)``, one for each target."""
        settings, target = self.settings, target.to(self.runtime.device)
        rng = seeds.make_rng(self.seed, Stream.ROUND, index)
        decoder = self.meta.start_round()
        self.contrast.start_round()
        optimized, *siblings = torch.split(target, self._n_optimized(index, len(target)))
        inputs = self._sample_inputs(decoder, optimized, n_frames, rng)
        groups = [
            {"params": decoder.parameters(), "lr": settings.learning_rate},
            {"params": inputs.latents.parameters(), "lr": settings.latent_rate},
        ]
        result = optimize_clips(
            lambda: self._decode(decoder, optimized, inputs),
            lambda mel: self.compute_losses(mel, optimized, rng),
            weights_of_round(settings, index),
            torch.optim.Adam(groups, betas=(0.5, 0.999)),
            settings.steps,
            after_backward=lambda: self._after_backward(decoder),
        )
        with torch.no_grad():
            further = [
                self._decode(decoder, some, self._sample_inputs(decoder, some, n_frames, rng))
                for some in siblings
            ]
        result = replace(result, mel=torch.cat([result.mel, *further]))
        self.meta.finish_round(decoder)
        self._update(result, optimized, index)
        return result

    def _n_optimized(self, index: int, n_clips: int) -> int:
        """Return how many clips of a round are optimized; the others are their siblings."""
        begun = index * n_clips >= self.settings.siblings_start
        siblings = self.settings.siblings if begun else 0
        # A single clip has no variance over the batch.
        return max(2, -(-n_clips // (1 + siblings)))

    def _sample_inputs(
        self, decoder: Decoder, target: Tensor, n_frames: int, rng: torch.Generator
    ) -> DecoderInputs:
        """Return random inputs of the decoder, for one clip of each target."""
        device, shape = self.runtime.device, (len(target), decoder.n_mels, n_frames)
        latents = decoder.sample_latents(len(target), n_frames, rng, device)
        offset, texture = sample_conditions(
            shape,
            rng,
            self.settings,
            self.teacher.front_end,
            lambda sounds, n: choose_sounds(self.teacher, sounds, target[:n], self.runtime),
        )
        return DecoderInputs(latents, offset.to(device), texture.to(device))

    def _decode(self, decoder: Decoder, target: Tensor, inputs: DecoderInputs) -> Tensor:
        n_frames = inputs.offset.shape[2]
        with self.runtime.autocast():
            mel: Tensor = decoder(
                inputs.latents, target, n_frames, inputs.offset, inputs.noise_texture
            )
            return mel

    def _after_backward(self, decoder: Decoder) -> None:
        self.meta.accumulate(decoder)
        if self.settings.contrast:
            self.contrast.finish_step()

    def compute_losses(
        self, mel: Tensor, target: Tensor, rng: torch.Generator
    ) -> tuple[LossTerms, ForwardPass]:
        """Return the losses of clips ``(B, F, N)``, on a view rotated in time with its target."""
        view, view_target = transforms.with_timeline(
            lambda both: transforms.roll(both, rng), mel, target
        )
        forward_pass, attention = self.weak_priors.forward(
            view, target, self.runtime, momentum=self.settings.momentum
        )
        terms = teacher_terms(
            forward_pass,
            view,
            view_target,
            self.proxy,
            relative=self.settings.relative,
            running=self.running,
        )
        terms |= self.weak_priors.terms(view, forward_pass.output, attention, rng)
        terms["contrast"] = lambda: self.contrast.loss(mel, forward_pass.output, target, rng)
        return terms, forward_pass

    def _update(self, result: RoundResult, target: Tensor, index: int) -> None:
        """Update running moments, queues and proxy student after a round."""
        self.running.update(result.batch_moments)
        if self.settings.contrast and result.forward_pass is not None:
            self.contrast.finish_round(result.forward_pass.output, target)
        if self.proxy is not None:
            self.proxy.update(result.mel, index)

    def state_dict(self) -> dict[str, Any]:
        """Return everything the next round depends on."""
        return {
            "meta": self.meta.state_dict(),
            "contrast": self.contrast.state_dict(),
            "running": self.running.state_dict(),
            "proxy": proxy_state(self.proxy),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.meta.load_state_dict(state["meta"])
        self.contrast.load_state_dict(state["contrast"])
        self.running.load_state_dict(state["running"], self.runtime.device)
        load_proxy_state(self.proxy, state["proxy"])
