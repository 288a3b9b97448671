"""Meta-learning of initial weights: the direction of each form's update."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from frami.core.errors import UsageError
from frami.inversion.meta import MetaLearner


@pytest.mark.parametrize("form", ["fomaml", "reptile"])
def test_meta_learner_moves_the_start_towards_the_rounds_result(form: str) -> None:
    start = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        start.weight.fill_(1.0)
    meta = MetaLearner(start, 0.1, form)
    network = meta.start_round()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        torch.autograd.backward((network.weight - 3).square().sum())
        meta.accumulate(network)
        optimizer.step()
    assert start.weight.item() == 1.0 < network.weight.item()
    meta.finish_round(network)
    # Adam's first step has the size of the learning rate.
    assert start.weight.item() == pytest.approx(1.1, abs=1e-4)


def test_meta_learner_of_an_unknown_form_is_an_error() -> None:
    with pytest.raises(UsageError, match="fomaml, reptile"):
        MetaLearner(nn.Linear(1, 1), 0.1, "maml")
