"""A start for a decoder that is learned over all rounds, so that a round needs few steps from it.

Source: Fang et al., "Up to 100x Faster Data-free Knowledge Distillation", AAAI 2022, arXiv:2112.06253, after first-order
MAML (Finn et al., ICML 2017) and Reptile (Nichol et al., 2018, arXiv:1803.02999).
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from frami.core.errors import unknown_name

FORMS = ("fomaml", "reptile")


class MetaLearner:
    """The start and its optimizer.

    Attributes:
        start: The decoder that every round begins as.
    """

    def __init__(self, start: nn.Module, rate: float, form: str = "fomaml") -> None:
        """Learn ``start`` with Adam.

        Args:
            start: The decoder.
            rate: Learning rate.
            form: ``fomaml`` follows the sum of a round's gradients, ``reptile`` the way the round's decoder went.
        """
        if form not in FORMS:
            raise unknown_name("form of meta-learning", form, FORMS)
        self.start, self.form = start, form
        self.optimizer = torch.optim.Adam(start.parameters(), lr=rate, betas=(0.5, 0.999))

    def start_round(self) -> nn.Module:
        """Return the decoder of a new round."""
        self.optimizer.zero_grad(set_to_none=False)
        return copy.deepcopy(self.start).train()

    def accumulate(self, decoder: nn.Module) -> None:
        """Take in the gradients of one step of a round."""
        if self.form == "fomaml":
            for start, now in zip(self.start.parameters(), decoder.parameters(), strict=True):
                if now.grad is not None:
                    start.grad = (
                        now.grad.clone() if start.grad is None else start.grad.add_(now.grad)
                    )

    def finish_round(self, decoder: nn.Module) -> None:
        """Move the start by what a finished round has taught."""
        if self.form == "reptile":
            for start, now in zip(self.start.parameters(), decoder.parameters(), strict=True):
                start.grad = start.detach() - now.detach()
        self.optimizer.step()
        # The moving averages of the decoder's own batch norms follow along; they take part in no loss.
        for average, current in zip(self.start.buffers(), decoder.buffers(), strict=True):
            average.copy_(current)

    def state_dict(self) -> dict[str, Any]:
        """Return all that it takes to go on, as plain tensors and numbers."""
        return {"start": self.start.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.start.load_state_dict(state["start"])
        self.optimizer.load_state_dict(state["optimizer"])
