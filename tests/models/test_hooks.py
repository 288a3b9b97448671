"""Hooks see and replace what modules take and give, and are gone after the block."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from frami.models.hooks import forward_hooks, named_pre_hooks, pre_hooks


class Scale(nn.Module):
    def forward(self, x: Tensor, *, by: float = 1.0) -> Tensor:
        return by * x


def test_hooks_replace_inputs_and_outputs_within_the_block() -> None:
    layer, one = Scale(), torch.ones(1)
    with pre_hooks([(layer, lambda _, inputs: inputs[0] + 1)]):
        assert layer(one, by=3.0).item() == 6
    with forward_hooks([(layer, lambda _, inputs, output: output + 1)]):
        assert layer(one, by=3.0).item() == 4
    assert layer(one, by=3.0).item() == 3


def test_named_hooks_take_keyword_arguments() -> None:
    layer, seen = Scale(), list[tuple[Tensor, float]]()

    def note(_: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        seen.append((inputs[0], named["by"]))

    one = torch.ones(1)
    with named_pre_hooks([(layer, note)]):
        layer(one, by=2.0)
    layer(one, by=3.0)
    assert seen == [(one, 2.0)]


@pytest.mark.parametrize("context", [pre_hooks, named_pre_hooks, forward_hooks])
def test_hooks_are_removed_after_an_error(context: Any) -> None:
    layer = Scale()
    with pytest.raises(ValueError), context([(layer, lambda *_: None)]):
        raise ValueError
    assert not layer._forward_hooks and not layer._forward_pre_hooks
