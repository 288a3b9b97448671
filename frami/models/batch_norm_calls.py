"""Another function in the place of torch's batch norm, within a block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


class replaced_batch_norms(TorchFunctionMode):
    """Within the block, call another function for `torch.nn.functional.batch_norm`.

    It is called with the same arguments, for networks of other code too. Layers, weights and hooks
    are not touched.

    Args:
        function: The function.
    """

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run a torch function, or the other one for batch norms."""
        return (self.function if func is F.batch_norm else func)(*args, **(kwargs or {}))
