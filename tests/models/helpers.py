"""Compare the weights of models."""

from __future__ import annotations

from torch import Tensor

from frami.models.model import Model


def copy_weights(model: Model) -> dict[str, Tensor]:
    """Return a copy of the weights of a model."""
    return {name: tensor.clone() for name, tensor in model.network.state_dict().items()}


def equal_weights(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Return whether two models have the same weights, to the bit."""
    return first.keys() == second.keys() and all(first[n].equal(second[n]) for n in first)
