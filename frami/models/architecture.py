"""Architectures: name and arguments of a network, as a bundle stores them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from frami.core import registry, seeds
from frami.core.checks import check_integer
from frami.core.errors import UsageError, unknown_name
from frami.core.memory import raise_if_full
from frami.core.seeds import Stream
from frami.core.text import count
from frami.models import bundle
from frami.models.heads import FrameHead, Head
from frami.models.network import Network, NetworkModule
from frami.models.pooling import ATTENTION, POOLINGS


@dataclass(frozen=True)
class Architecture:
    """A network and the arguments to build it.

    Attributes:
        network: Name of a module in ``frami.teachers`` or ``frami.students``; with a dot, of a
            module of the user's own.
        arguments: Arguments of its ``build``, after bands and classes.
        projection: Channels of a layer that is added before pooling; 0 for none. A student gets
            one to take over its teacher's head, which expects the teacher's channels.
        pooling: Pooling of the frames, for the task sound-events: ``attention`` or a name of
            `frami.models.pooling.POOLINGS`.
    """

    network: str
    arguments: Mapping[str, int | float] = field(default_factory=dict)
    projection: int = 0
    pooling: str = ATTENTION

    @classmethod
    def from_options(
        cls,
        network: str,
        width: int | None = None,
        depth: int | None = None,
        pooling: str | None = None,
    ) -> Architecture:
        """Return the architecture for some options; None keeps the default of the network."""
        registry.load_network(network, NetworkModule)
        sizes = {"width": width, "depth": depth}
        arguments = {
            name: check_integer(name, size, 1) for name, size in sizes.items() if size is not None
        }
        return cls(network, arguments, pooling=pooling or ATTENTION)

    def build(self, bands: int, classes: int, task: str = "single-label") -> Network:
        """Return the network with the head of a task and with fresh weights.

        The weights are drawn from torch's global generator.

        Args:
            bands: Mel bands F.
            classes: Classes K.
            task: Name of a task.

        Raises:
            UsageError: The network does not exist or cannot be built with these arguments.
        """
        build = registry.load_network(self.network, NetworkModule).build
        self._check(task)
        try:
            network = build(bands, classes, **self.arguments)
            if isinstance(network, Network):
                self._add_layers(network, classes, task)
                return network
        except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
            raise_if_full(error)
            raise UsageError(
                f"The network {self.network!r} does not take these arguments: "
                f"{dict(self.arguments)} ({error})."
            ) from error
        raise UsageError(
            f"The function build of {self.network} returns {type(network).__name__}; "
            f"it must return a frami Network."
        )

    def _add_layers(self, network: Network, classes: int, task: str) -> None:
        """Add the projection, and the head of the task."""
        if self.projection:
            _add_projection(network, self.projection, task)
        sizes = 2 * network.channels, network.embedding, classes
        if task == "sound-events" and (self.projection or isinstance(network.head, Head)):
            network.head = FrameHead(*sizes, self.pooling)
        elif self.projection:
            network.head = Head(*sizes)

    def _check(self, task: str) -> None:
        if self.pooling not in (ATTENTION, *POOLINGS):
            raise unknown_name("pooling", self.pooling, [ATTENTION, *POOLINGS])
        if self.pooling != ATTENTION and task != "sound-events":
            raise UsageError(
                f"The pooling {self.pooling!r} is for the task sound-events, but this task is "
                f"{task}: leave it out."
            )
        for name, value in {**self.arguments, "projection": self.projection or 1}.items():
            highest = bundle.MAX_DEPTH if name == "depth" else bundle.MAX_SIZE
            # A fraction, such as dropout, may be 0.
            if not (0 < value <= highest or (value == 0 and isinstance(value, float))):
                raise UsageError(
                    f"The network {self.network!r} cannot have a {name} of {value}; "
                    f"1 to {highest} is allowed."
                )


def check_architecture(architecture: object) -> None:
    """Refuse what is not an architecture, such as the name of a network."""
    if not isinstance(architecture, Architecture):
        raise UsageError(
            f"`architecture` is {architecture!r}; pass frami.Architecture({str(architecture)!r})."
            if isinstance(architecture, str)
            else f"`architecture` is {architecture!r}; it must be a frami.Architecture."
        )


def check_rebuilt(architecture: Architecture, network: nn.Module, bands: int, task: str) -> None:
    """Refuse to save a network that its architecture would not build again.

    A network of another name than frami's is only built if its module is imported.
    """
    name = architecture.network
    if isinstance(network, Network) and ("." not in name or name in sys.modules):
        with seeds.seeded(0, Stream.LOADING) if "." in name else torch.device("meta"):
            built = architecture.build(bands, network.classes, task)
        own, expected = _shapes(network), _shapes(built)
        wrong = [key for key in sorted(own | expected) if own.get(key) != expected.get(key)]
        if wrong:
            one = wrong[0]
            raise UsageError(
                f"The network cannot be saved, because {name!r} builds another one: "
                f"{count(len(wrong), 'tensor')} differ, such as {one} (here {own.get(one)}, there "
                f"{expected.get(one)}). Have its function build return this network, with its "
                f"wrappers and layers."
            )


def _shapes(network: nn.Module) -> dict[str, str]:
    """Return the shape and the type of each tensor that is saved, as text."""
    state = network.state_dict()
    return {key: f"{tuple(tensor.shape)} {tensor.dtype}" for key, tensor in state.items()}


def _add_projection(network: Network, channels: int, task: str) -> None:
    """Append a 1x1 convolution to the encoder, so that its output has ``channels`` channels."""
    # The hidden state of a teacher comes from a ReLU, and its head was trained on such values. That
    # of a sound event detector usually comes from a recurrent layer, and can be negative.
    activation = nn.Identity() if task == "sound-events" else nn.ReLU()
    projection = nn.Conv1d(network.channels, channels, 1)
    network.encoder = nn.Sequential(network.encoder, projection, activation)
    network.channels = channels
