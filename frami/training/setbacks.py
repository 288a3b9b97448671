"""Step back from a loss that is not finite: once, to the last good state, with smaller steps."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from frami.core.errors import OperationError
from frami.core.warn import warn
from frami.models.finite import first_not_finite

SMALLER_STEP = 0.1  # factor of the learning rates after a step back
RATES = ("lr", "initial_lr", "max_lr", "min_lr")  # of torch's one-cycle schedule


class NotFiniteError(Exception):
    """A loss or a weight is NaN or infinite; the text says which."""


class Setbacks:
    """The last good state of a training, in memory, and how often it was returned to.

    Attributes:
        sentences: One sentence for each time.
    """

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self._good: dict[str, Any] = {}

    def keep(self, state: Mapping[str, Any]) -> None:
        """Keep a copy of a good state."""
        self._good = copy.deepcopy(dict(state))

    def step_back(
        self,
        reason: str,
        load: Callable[[Mapping[str, Any]], None],
        optimizer: torch.optim.Optimizer,
    ) -> int:
        """Load the good state and lower the learning rates; return its step.

        Raises:
            OperationError: It is the second time.
        """
        if self.sentences:
            raise OperationError(
                f"{reason}, for the second time. Lower the setting learning_rate, and choose "
                f"another `out`."
            )
        load(self._good)
        lower_rates(optimizer)
        step = int(self._good["step"])
        self.sentences.append(
            f"{reason}. Training went back to step {step}, and on with a tenth of the learning "
            f"rate."
        )
        warn(self.sentences[-1])
        return step


def check_inputs(reason: str, teacher: nn.Module | None, mel: Tensor) -> None:
    """Raise an OperationError if some clips, or the teacher's answers to them, are not finite."""
    if not bool(mel.isfinite().all()):
        raise OperationError(f"{reason}: the clips of this batch hold NaN or infinity.")
    if teacher is not None and (place := first_not_finite(teacher, mel)):
        raise OperationError(
            f"{reason}: when the teacher runs on this batch, NaN or infinity first arises in "
            f"{place}. Check its weights and the clips."
        )


def lower_rates(optimizer: torch.optim.Optimizer) -> None:
    """Lower the learning rates of an optimizer, and those that its schedule computes with."""
    for group in optimizer.param_groups:
        group |= {name: SMALLER_STEP * group[name] for name in RATES if name in group}


def finite_values(losses: Mapping[str, Tensor], network: nn.Module) -> dict[str, float]:
    """Return losses as numbers.

    Raises:
        NotFiniteError: One of them, a weight or a running moment of the network is not finite.
    """
    values = {name: float(loss.detach()) for name, loss in losses.items()}
    wrong = [f"{name} is {value}" for name, value in values.items() if not math.isfinite(value)]
    if wrong:
        raise NotFiniteError(f"The loss {', '.join(wrong)}")
    weights = dict(network.named_parameters()) | {
        name: buffer for name, buffer in network.named_buffers() if "running_" in name
    }
    finite = torch.stack([tensor.isfinite().all() for tensor in weights.values()])
    if not bool(finite.all()):
        name = list(weights)[int(finite.int().argmin())]
        raise NotFiniteError(f"The student's {name!r} is NaN or infinite")
    return values
