"""The proxy student: a small network distilled during inversion, in place of the final student.

CMI, FastMeta, NAYER and others favor clips on which the current student differs from the teacher.
Here the final student is distilled from the store afterwards, so a proxy student takes its part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from frami.audio import transforms
from frami.core import seeds
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.core.settings import weight
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.models.network import Output, frozen

LEARNING_RATE = 2e-3
TEMPERATURE = 4.0

StudentLoss = Callable[[Tensor, Output], Tensor]
"""A loss of the proxy student: takes the teacher's logits and the student's output."""


def adversary_weight(default: float) -> Any:
    """Return the settings field of the adversarial loss, with a method's own default."""
    return weight(default, "weight of the disagreement between teacher and proxy student")


class ProxySettings(Protocol):
    """The settings that `make_proxy` reads (see `frami.inversion.terms.TeacherTermSettings`)."""

    @property
    def adversary(self) -> float: ...
    @property
    def proxy(self) -> str: ...
    @property
    def proxy_steps(self) -> int: ...
    @property
    def proxy_memory(self) -> int: ...


def soft_kl(teacher_logits: Tensor, student: Output) -> Tensor:
    """Return the distillation loss of Hinton et al. at temperature 4 (`Task.soft_divergence`)."""
    return student.task.soft_divergence(teacher_logits, student.task_logits, TEMPERATURE)


class ProxyStudent:
    """A small network that is distilled on the synthetic clips while they are made.

    It keeps the last ``memory`` clips, as float16 and in whole rounds, with the teacher's logits.

    Differs: it is trained with AdamW and by default with `soft_kl` at temperature 4, where CMI,
    FastMeta and NAYER publish SGD and temperature 20; and for ``each_round`` steps per round (the
    setting ``proxy_steps`` of the methods), where CMI and FastMeta publish 400.
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
        loss: StudentLoss = soft_kl,
    ) -> None:
        self.teacher, self.runtime, self.seed = teacher, runtime, seed
        self.memory, self.each_round, self.loss = memory, each_round, loss
        self.steps = 0
        with seeds.seeded(seed, Stream.PROXY_WEIGHTS):
            self.network = Model.build(
                Architecture(network), teacher.front_end, teacher.labels, task=teacher.task
            ).network
        runtime.place(self.network)
        self.network.eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=LEARNING_RATE, weight_decay=0.01
        )
        self.clips: list[Tensor] = []
        self.teacher_logits: list[Tensor] = []

    def predict(self, mel: Tensor) -> Output:
        """Return the student's output for clips ``(B, F, N)``."""
        with frozen(self.network), self.runtime.autocast():
            return self.network(mel)

    def update(self, mel: Tensor, round_index: int) -> None:
        """Add the clips ``(B, F, N)`` of a round to the memory, then train."""
        with torch.no_grad(), self.runtime.autocast():
            teacher_logits = self.teacher.network(mel).task_logits
        rng = seeds.make_rng(self.seed, Stream.PROXY_BATCHES, round_index)
        self.clips.append(mel.half())
        self.teacher_logits.append(teacher_logits.float())
        while len(self.clips) > 1 and sum(map(len, self.clips[1:])) >= self.memory:
            del self.clips[0], self.teacher_logits[0]
        for _ in range(self.each_round):
            # The clips of one round have one length, so a batch comes from one round.
            index = int(torch.randint(len(self.clips), (), generator=rng))
            batch, target = self.clips[index].float(), self.teacher_logits[index]
            # Logits of frames would have to be rotated with the clip.
            self.step(batch if target.dim() > 2 else transforms.roll(batch, rng), target)

    def step(self, mel: Tensor, teacher_logits: Tensor) -> None:
        """Train for one step on clips ``(B, F, N)`` and the teacher's logits."""
        self.network.train().requires_grad_(True)
        # Dropout draws from torch's global generator.
        with seeds.seeded(self.seed, Stream.PROXY_DROPOUT, self.steps), self.runtime.autocast():
            output = self.network(mel)
        self.steps += 1
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(self.loss(teacher_logits, output))
        self.optimizer.step()
        self.network.eval().requires_grad_(False)

    def state_dict(self) -> dict[str, Any]:
        """Return weights, optimizer state and memory."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "clips": list(self.clips),
            "teacher_logits": list(self.teacher_logits),
            "steps": self.steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps = state["steps"]
        self.clips = [mel.to(self.runtime.device) for mel in state["clips"]]
        self.teacher_logits = [logits.to(self.runtime.device) for logits in state["teacher_logits"]]


def make_proxy(
    teacher: Model, settings: ProxySettings, runtime: Runtime, seed: int
) -> ProxyStudent | None:
    """Return the proxy student of a method; None if the weight of its loss is 0."""
    if not settings.adversary:
        return None
    memory, steps = settings.proxy_memory, settings.proxy_steps
    return ProxyStudent(teacher, settings.proxy, runtime, seed, memory=memory, each_round=steps)


def proxy_state(proxy: ProxyStudent | None) -> dict[str, Any] | None:
    """Return the state of a proxy student; None if there is none."""
    return None if proxy is None else proxy.state_dict()


def load_proxy_state(proxy: ProxyStudent | None, state: dict[str, Any] | None) -> None:
    """Restore what `proxy_state` returned."""
    if proxy is not None and state is not None:
        proxy.load_state_dict(state)
