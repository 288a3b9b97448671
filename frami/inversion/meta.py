"""Meta-learning of a decoder's initial weights, so that a round needs few steps from there.

Source: Fang et al., "Up to 100x Faster Data-free Knowledge Distillation", AAAI 2022,
arXiv:2112.06253, after first-order MAML (Finn et al., ICML 2017) and Reptile (Nichol et al., 2018,
arXiv:1803.02999).
"""

from __future__ import annotations

import copy
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from frami.core.errors import unknown_name

FORMS = ("fomaml", "reptile")
Network = TypeVar("Network", bound=nn.Module)


class MetaLearner(Generic[Network]):
    """The meta-learned initial weights and their optimizer.

    Attributes:
        start: The network whose weights every round starts from.
    """

    def __init__(self, start: Network, rate: float, form: str = "fomaml") -> None:
        """Learn the weights of ``start`` with Adam.

        Args:
            start: The network.
            rate: Learning rate.
            form: ``fomaml`` follows the sum of a round's gradients; ``reptile`` follows the
                difference between the weights after and before the round.
        """
        if form not in FORMS:
            raise unknown_name("form of meta-learning", form, FORMS)
        self.start, self.form = start, form
        self.optimizer = torch.optim.Adam(start.parameters(), lr=rate, betas=(0.5, 0.999))

    def start_round(self) -> Network:
        """Return a copy of the initial network for a new round."""
        self.optimizer.zero_grad(set_to_none=False)
        return copy.deepcopy(self.start).train()

    def accumulate(self, network: nn.Module) -> None:
        """Add the gradients of one step of a round (``fomaml`` only)."""
        if self.form == "fomaml":
            for start, current in zip(self.start.parameters(), network.parameters(), strict=True):
                if current.grad is not None:
                    start.grad = (
                        current.grad.clone()
                        if start.grad is None
                        else start.grad.add_(current.grad)
                    )

    def finish_round(self, network: nn.Module) -> None:
        """Update the initial weights after a round that ended with ``network``."""
        if self.form == "reptile":
            for start, current in zip(self.start.parameters(), network.parameters(), strict=True):
                start.grad = start.detach() - current.detach()
        self.optimizer.step()
        # The running statistics of the network's own batch norms take part in no loss.
        for average, latest in zip(self.start.buffers(), network.buffers(), strict=True):
            average.copy_(latest)

    def state_dict(self) -> dict[str, Any]:
        """Return the weights and the optimizer's state."""
        return {"start": self.start.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.start.load_state_dict(state["start"])
        self.optimizer.load_state_dict(state["optimizer"])
