"""A generator and a student that learn in turn: what DAFL, DFAD, ZSKT and DFQ have in common.

The generator is moved to where the student errs, the student learns from what the generator makes, and both live on
from round to round. What a store keeps are the clips of each round's last turn, as they were before the generator's last
step. None of the four publishes views; ``views=none`` judges the clips as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Generator, Tensor

from frami.core import seeds
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.core.settings import loss_weights, setting
from frami.inversion.hooks import ForwardPass, forward_with_stats
from frami.inversion.loop import RoundResult, optimize_clips
from frami.inversion.proxy import ProxyStudent
from frami.inversion.upsampler import Upsampler
from frami.inversion.views import get_views
from frami.models.model import Model
from frami.models.network import Output
from frami.training.losses import soft_kl

Losses = Callable[[ForwardPass, Callable[[], Output]], Mapping[str, Callable[[], Tensor]]]
StudentLoss = Callable[[Tensor, Output], Tensor]


@dataclass(frozen=True, kw_only=True)
class AdversarialSettings:
    """How a duel is played; a method adds the weights of its losses."""

    iterations: int = setting(
        50, "turns of generator and student a round, one step of the generator each", low=1
    )
    student_steps: int = setting(5, "steps of the student a turn", low=0)
    latent: int = setting(256, "size of the noise", low=1)
    learning_rate: float = setting(1e-3, "of the generator", low=0)
    proxy: str = setting("small", "network of the student")
    views: str = setting("audio", "views that are judged: audio, image, or none (as published)")


class AdversarialGenerator:
    """The state that lives through the rounds: a generator from noise, and the student that it is set against."""

    def __init__(
        self,
        teacher: Model,
        settings: AdversarialSettings,
        losses: Losses,
        runtime: Runtime,
        seed: int,
        student_loss: StudentLoss = soft_kl,
    ) -> None:
        """Let the two begin.

        Args:
            teacher: Whom the student is to match.
            settings: How they play, and the weight of each loss.
            losses: What is asked of clips, given what the teacher says of them, and what asks the student: by name, what
                computes a scalar.
            machine: Where.
            seed: Of all that is drawn.
            student_loss: What the student learns by, of the teacher's answer and what it says.
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

    def run_round(self, number: int, target: Tensor, frames: int) -> RoundResult:
        """Return the clips ``(B, F, frames)`` that the generator makes after some turns; it chooses their classes."""
        rng = seeds.make_rng(self.seed, Stream.ROUND, number)
        for _ in range(self.settings.iterations):
            made = optimize_clips(
                lambda: self._make(len(target), frames, rng),
                lambda mel: self._judge(self.view(mel, rng)),
                self.weights,
                self.optimizer,
                1,
            )
            for _ in range(self.settings.student_steps):
                with torch.no_grad():
                    mel = self._make(len(target), frames, rng)
                self.proxy.step(mel, self._told(mel))
        return replace(made, target=self.teacher.network.task.decide(self._told(made.mel)))

    def _make(self, batch: int, frames: int, rng: Generator) -> Tensor:
        with self.runtime.autocast():
            return self.generator(
                self.generator.sample_noise(batch, rng, self.runtime.device), frames
            )

    @torch.no_grad()
    def _told(self, mel: Tensor) -> Tensor:
        with self.runtime.autocast():
            return self.teacher.network(mel).task_logits

    def _judge(self, mel: Tensor) -> Mapping[str, Callable[[], Tensor]]:
        moments = bool(self.weights.get("batch_norm"))
        return self.losses(
            forward_with_stats(self.teacher.network, mel, self.runtime, moments=moments),
            lambda: self.proxy.predict(mel),
        )

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next round depends on, as plain tensors, numbers and lists."""
        return {
            "generator": self.generator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "proxy": self.proxy.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.generator.load_state_dict(state["generator"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.proxy.load_state_dict(state["proxy"])
