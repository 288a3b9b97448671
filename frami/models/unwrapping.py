"""Remove the wrappers of parallel training, averaging and compilation from a network."""

from __future__ import annotations

from torch import nn
from torch.optim.swa_utils import AveragedModel

WRAPPERS: tuple[type[nn.Module], ...] = (
    nn.DataParallel,
    nn.parallel.DistributedDataParallel,
    AveragedModel,
)


def unwrap(module: nn.Module) -> nn.Module:
    """Return a module without wrappers, at any depth; parts of it are replaced in place."""
    for name, child in module.named_children():
        if (inner := unwrap(child)) is not child:
            setattr(module, name, inner)
    if isinstance(module, WRAPPERS):
        return unwrap(module.get_submodule("module"))
    compiled = getattr(module, "_orig_mod", None)
    return unwrap(compiled) if isinstance(compiled, nn.Module) else module
