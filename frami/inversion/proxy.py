"""A student in the making: what it has not understood yet is where the next synthetic clips should be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from frami.audio import transforms
from frami.core import seeds
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.models.network import Output, frozen
from frami.training import losses

LEARNING_RATE = 2e-3


class ProxyStudent:
    """A small network that learns from the synthetic clips as they come, so that inversion can aim at its mistakes.

    It remembers the last ``memory`` clips, as float16 and in whole rounds, with what the teacher said of them. Unless a method
    names another loss, it learns by `objectives.softened`, at temperature 4, with AdamW; CMI, FastMeta and NAYER publish 20, and
    SGD. It learns for few steps after each round, ``each_round`` (``proxy_steps`` of the methods), where CMI and FastMeta
    publish 400.
    """

    def __init__(
        self,
        teacher: Model,
        network: str,
        runtime: Runtime,
        seed: int,
        *,
        memory: int = 1,
        each_round: int = 0,
        loss: Callable[[Tensor, Output], Tensor] = losses.soft_kl,
    ) -> None:
        self.teacher, self.runtime, self.memory, self.each_round, self.loss = (
            teacher,
            runtime,
            memory,
            each_round,
            loss,
        )
        self.seed, self.steps = seed, 0
        with seeds.seeded(seed, Stream.PROXY_WEIGHTS):
            self.network = Model.build(
                Architecture(network), teacher.front_end, teacher.labels, task=teacher.task
            ).network
        runtime.place(self.network)
        self.network.eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=LEARNING_RATE, weight_decay=0.01
        )
        self.mels: list[Tensor] = []
        self.told: list[Tensor] = []

    def predict(self, mel: Tensor) -> Output:
        """Return what it says of clips ``(B, F, N)``."""
        with frozen(self.network), self.runtime.autocast():
            return self.network(mel)

    def update(self, mel: Tensor, number: int) -> None:
        """Remember the clips ``(B, F, N)`` of a round with what the teacher says of them, then learn."""
        with torch.no_grad(), self.runtime.autocast():
            told = self.teacher.network(mel).task_logits
        rng = seeds.make_rng(self.seed, Stream.PROXY_BATCHES, number)
        self.mels.append(mel.half())
        self.told.append(told.float())
        while len(self.mels) > 1 and sum(map(len, self.mels)) - len(self.mels[0]) >= self.memory:
            del self.mels[0], self.told[0]
        for _ in range(self.each_round):
            # A round's clips share one length, so a batch comes from one round.
            chosen = int(torch.randint(len(self.mels), (), generator=rng))
            mel, answer = self.mels[chosen].float(), self.told[chosen]
            # An answer for each frame does not move with the clip.
            self.step(mel if answer.dim() > 2 else transforms.roll(mel, rng), answer)

    def step(self, mel: Tensor, told: Tensor) -> None:
        """Learn from clips ``(B, F, N)`` what the teacher said of them, its answer; remember nothing."""
        self.network.train().requires_grad_(True)
        # Dropout draws from torch's global generator.
        with seeds.seeded(self.seed, Stream.PROXY_DROPOUT, self.steps), self.runtime.autocast():
            said = self.network(mel)
        self.steps += 1
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(told, said).backward()
        self.optimizer.step()
        self.network.eval().requires_grad_(False)

    def state_dict(self) -> dict[str, Any]:
        """Return all that it takes to go on, as plain tensors and lists."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "mels": list(self.mels),
            "told": list(self.told),
            "steps": self.steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps = state["steps"]
        self.mels = [mel.to(self.runtime.device) for mel in state["mels"]]
        self.told = [answer.to(self.runtime.device) for answer in state["told"]]


class NoProxy:
    """Who stands in where a method goes without a student in the making."""

    def predict(self, mel: Tensor) -> Output:
        """Never asked: the loss that would ask has the weight 0."""
        raise AssertionError("There is no student in the making.")

    def update(self, mel: Tensor, number: int) -> None:
        """Learn nothing."""

    def state_dict(self) -> None:
        """Return that there is nothing to go on from."""

    def load_state_dict(self, state: None) -> None:
        """Go on from nothing."""


def make_proxy(
    teacher: Model, settings: Any, runtime: Runtime, seed: int
) -> ProxyStudent | NoProxy:
    """Return the student in the making that a method's settings ask for; nobody, where its weight is 0."""
    if not settings.adversary:
        return NoProxy()
    memory, steps = settings.proxy_memory, settings.proxy_steps
    return ProxyStudent(teacher, settings.proxy, runtime, seed, memory=memory, each_round=steps)
