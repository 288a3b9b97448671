"""Refuse networks whose weights are no numbers yet, or no floats any more."""

from __future__ import annotations

from itertools import chain

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from frami.core.errors import UsageError
from frami.core.text import preview


def check_values(network: nn.Module) -> None:
    """Refuse weights that have no values, or that are quantized.

    Raises:
        UsageError: There are such weights.
    """
    for name, tensor in chain(network.named_parameters(), network.named_buffers()):
        if is_lazy(tensor) or tensor.is_meta:
            way_out = "Run the network once on a batch" if is_lazy(tensor) else "Load its weights"
            raise UsageError(f"The weights {name!r} of the network have no values. {way_out}.")
    state = network.state_dict()
    packed = [name for name, one in state.items() if not isinstance(one, Tensor)]
    packed += [name for name, one in state.items() if name not in packed and one.is_quantized]
    if packed:
        raise UsageError(
            f"The network is quantized ({preview(packed)}), so it has no gradients. Pass it as it "
            f"was before; frami export quantizes the student."
        )
