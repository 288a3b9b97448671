"""Adversarial generation: what DAFL, DFAD, DFQ and ZSKT have in common.

A generator is trained to maximize the disagreement between teacher and proxy student, the student
to minimize it. Both keep their weights between rounds. The store receives the batch of each round's
last generator step, rendered before the update.

Differs: none of the four methods publishes views; ``views=none`` computes the losses on the clips
as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Generator, Tensor

from frami.core import seeds
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.core.settings import loss_weights, setting
from frami.inversion.hooks import ForwardPass, forward_with_stats
from frami.inversion.loop import (
    LossTerms,
    NotFiniteError,
    RoundResult,
    Setback,
    optimize_clips,
)
from frami.inversion.proxy import ProxyStudent, StudentLoss, soft_kl
from frami.inversion.upsampler import Upsampler
from frami.inversion.views import ViewSettings, get_views
from frami.models.model import Model
from frami.models.network import Output

GeneratorLosses = Callable[[ForwardPass, Callable[[], Output]], LossTerms]
"""Takes the teacher's forward pass and a function that returns the student's output."""


@dataclass(frozen=True, kw_only=True)
class AdversarialSettings(ViewSettings):
    """Settings of adversarial generation; a method adds the weights of its losses."""

    iterations: int = setting(
        50, "iterations per round: one generator step, then the student's steps", low=1
    )
    student_steps: int = setting(5, "steps of the proxy student per iteration", low=0)
    latent: int = setting(256, "size of the noise vector", low=1)
    learning_rate: float = setting(1e-3, "learning rate of the generator", low=0)
    proxy: str = setting("small", "network of the proxy student")
    views: str = setting("audio", "views of the clips: audio, image, or none (as published)")


class AdversarialGenerator:
    """A generator from noise and the proxy student it is trained against."""

    def __init__(
        self,
        teacher: Model,
        settings: AdversarialSettings,
        losses: GeneratorLosses,
        runtime: Runtime,
        seed: int,
        student_loss: StudentLoss = soft_kl,
    ) -> None:
        """Initialize generator and student.

        Args:
            teacher: The teacher.
            settings: Sizes, steps, and the weight of each loss.
            losses: The losses of the generator, by name.
            runtime: Device and precision.
            seed: Seed of all random numbers.
            student_loss: The loss of the student.
        """
        self.teacher, self.settings, self.runtime, self.seed = teacher, settings, runtime, seed
        self.losses, self.weights = losses, loss_weights(settings)
        self.proxy = ProxyStudent(teacher, settings.proxy, runtime, seed, loss=student_loss)
        self.view, _ = get_views(settings.views)
        with seeds.seeded(seed, Stream.GENERATOR_WEIGHTS):
            self.generator = Upsampler.for_teacher(teacher, settings.latent)
        runtime.place(self.generator)
        self.optimizer = torch.optim.Adam(
            self.generator.parameters(), lr=settings.learning_rate, betas=(0.5, 0.999)
        )

    def run_round(self, index: int, target: Tensor, n_frames: int) -> RoundResult:
        """Return the clips ``(B, F, n_frames)`` of the last iteration, and the teacher's classes.

        The targets are ignored: the generator chooses the classes.
        """
        rng = seeds.make_rng(self.seed, Stream.ROUND, index)
        setbacks: list[Setback] = []
        for _ in range(self.settings.iterations):
            result = optimize_clips(
                lambda: self._render(len(target), n_frames, rng),
                lambda mel: self._compute_losses(self.view(mel, rng)),
                self.weights,
                self.optimizer,
                1,
            )
            setbacks += [result.setback] if result.setback else []
            if len(setbacks) > 1:
                raise NotFiniteError(setbacks[-1])
            for _ in range(self.settings.student_steps):
                with torch.no_grad():
                    mel = self._render(len(target), n_frames, rng)
                self.proxy.step(mel, self._teacher_logits(mel))
        classes = self.teacher.network.task.decide(self._teacher_logits(result.mel))
        return replace(result, target=classes, setback=setbacks[0] if setbacks else None)

    def _render(self, batch: int, n_frames: int, rng: Generator) -> Tensor:
        with self.runtime.autocast():
            noise = self.generator.sample_noise(batch, rng, self.runtime.device)
            return cast(Tensor, self.generator(noise, n_frames))

    @torch.no_grad()
    def _teacher_logits(self, mel: Tensor) -> Tensor:
        with self.runtime.autocast():
            return self.teacher.network(mel).task_logits

    def _compute_losses(self, view: Tensor) -> tuple[LossTerms, ForwardPass]:
        moments = bool(self.weights.get("batch_norm"))
        forward_pass = forward_with_stats(self.teacher.network, view, self.runtime, moments=moments)
        return self.losses(forward_pass, lambda: self.proxy.predict(view)), forward_pass

    def state_dict(self) -> dict[str, Any]:
        """Return everything the next round depends on."""
        return {
            "generator": self.generator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "proxy": self.proxy.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.generator.load_state_dict(state["generator"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.proxy.load_state_dict(state["proxy"])
