"""Find where numbers stop being finite: the first module of a network whose output is not."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from frami.models.hooks import Hook, flat_tensors, forward_hooks


@torch.no_grad()
def first_not_finite(network: nn.Module, mel: Tensor) -> str:
    """Return where NaN or infinity arises in a forward pass, as words after "in"; or empty."""
    if not bool(mel.isfinite().all()):
        return "the clips themselves"
    found: list[str] = []

    def make_hook(name: str) -> Hook:
        def check(module: nn.Module, inputs: object, output: object) -> None:
            tensors = [t for t in flat_tensors(output).values() if t.is_floating_point()]
            if not found and not all(bool(t.isfinite().all()) for t in tensors):
                found.append(name)

        return check

    with forward_hooks([(module, make_hook(name)) for name, module in network.named_modules()]):
        network(mel)
    return f"the output of {found[0] or 'the network'!r}" if found else ""
