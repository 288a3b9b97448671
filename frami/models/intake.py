"""Take in a network: unwrap it, bring it to float32, and say what its norms do not keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from frami.core.errors import UsageError
from frami.core.text import count, preview
from frami.core.warn import warn, warn_all
from frami.models.network import Classifier
from frami.models.unwrapping import unwrap
from frami.models.values import check_values


def take_in(network: nn.Module) -> Classifier:
    """Return a network without wrappers and in float32; warn of what was changed, and of its norms.

    The network is changed in place.

    Raises:
        UsageError: It is no `Classifier`, it is quantized, or weights have no values.
    """
    plain = unwrap(network)
    if not isinstance(plain, Classifier):
        raise UsageError(
            f"`network` is {type(plain).__name__}; it must be a frami.Network. frami.adopt takes "
            f"any other module."
        )
    check_values(plain)
    if kinds := low_precision(plain):
        warn(f"The weights are {kinds}. They were converted to float32, which frami computes in.")
        plain.float()
    warn_all(describe_norms(plain))
    return plain


def low_precision(network: nn.Module) -> str:
    """Return the types of weights and moments that are not float32, or an empty text."""
    tensors = chain(network.parameters(), network.buffers())
    types = {one.dtype for one in tensors if one.is_floating_point()} - {torch.float32}
    return ", ".join(sorted(str(kind).removeprefix("torch.") for kind in types))


def describe_norms(network: nn.Module) -> Iterator[str]:
    """Yield sentences on batch norms whose moments are not there, or cannot be read."""
    layers = dict(network.named_modules())
    scripted = [name for name, one in layers.items() if isinstance(one, torch.jit.ScriptModule)]
    of_the_batch = [
        name
        for name, one in layers.items()
        if isinstance(one, _BatchNorm) and one.running_mean is None
    ]
    if of_the_batch:
        yield (
            f"{count(len(of_the_batch), 'batch norm')} ({preview(of_the_batch)}) "
            f"{'keeps' if len(of_the_batch) == 1 else 'keep'} no running moments "
            f"(track_running_stats=False): the answer for a clip depends on the other clips of its "
            f"batch, and their moments cannot guide an inversion."
        )
    if scripted:
        yield (
            f"Layers inside TorchScript ({preview(scripted)}) cannot be examined: the moments of "
            f"batch norms in them cannot guide an inversion. Build the model from its Python code."
        )


def check_labels(labels: Sequence[str], classes: int) -> tuple[str, ...]:
    """Return the labels of a network, one for each of its classes."""
    if isinstance(labels, str) or len(labels) != classes:
        raise UsageError(
            f"A network of {count(classes, 'class')} needs {count(classes, 'label')}, not "
            f"{labels!r}."
        )
    return tuple(labels)
