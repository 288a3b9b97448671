"""Which network a model has, and how it was built: what a bundle says of it in place of code."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn

from frami.core import registry
from frami.core.errors import UsageError, unknown_name
from frami.models import bundle
from frami.models.network import FrameHead, Head, Network, NetworkModule
from frami.models.pooling import ATTENTION, POOLINGS


@dataclass(frozen=True)
class Architecture:
    """Which network, built how.

    Attributes:
        network: Name of a module in ``frami.teachers`` or ``frami.students``, or with a dot of one of the user's own.
        arguments: Arguments of its ``build``, after bands and classes.
        projection: Channels that the frames are projected to before pooling; 0 for none. It is how a student takes
            over its teacher's head, which expects the teacher's channels.
        pooling: How frames make up a clip, where the task is ``frames``: ``attention``, or a name of `frami.network.POOLINGS`.
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
        """Return how to build a network as it was asked for; None leaves its own default."""
        registry.load_network(network, NetworkModule)
        arguments = {
            name: value for name, value in (("width", width), ("depth", depth)) if value is not None
        }
        for name, value in arguments.items():
            if value < 1:
                raise UsageError(f"--{name} is {value}; 1 or more is allowed.")
            arguments[name] = operator.index(value)
        return cls(network, arguments, pooling=pooling or ATTENTION)

    def build(self, bands: int, classes: int, task: str = "single-label") -> Network:
        """Return the network with fresh weights, drawn from torch's global generator, and the head of a task."""
        build = registry.load_network(self.network, NetworkModule).build
        if self.pooling not in (ATTENTION, *POOLINGS):
            raise unknown_name("pooling", self.pooling, [ATTENTION, *POOLINGS])
        if self.pooling != ATTENTION and task != "sound-events":
            raise UsageError(
                f"A pooling of {self.pooling} is for the task frames, and this one is {task}; leave it out."
            )
        for name, value in {**self.arguments, "projection": self.projection or 1}.items():
            # A part, as of dropout, may be none.
            if not (0 < value <= bundle.MAX_SIZE or (value == 0 and isinstance(value, float))):
                raise UsageError(
                    f"The network {self.network!r} cannot have a {name} of {value}; 1 to {bundle.MAX_SIZE} is allowed."
                )
        try:
            network = build(bands, classes, **self.arguments)
        except (TypeError, ValueError, RuntimeError) as error:
            raise UsageError(
                f"The network {self.network!r} does not take these arguments: {dict(self.arguments)} ({error})."
            ) from error
        if not isinstance(network, Network):
            raise UsageError(
                f"The function build of {self.network} returns {type(network).__name__}; a Network is allowed."
            )
        if self.projection:
            # A teacher's own frames come out of a ReLU, and its head knows no others; those of one that hears events come
            # out of a recurrent layer, as a rule, and lie below zero as well.
            last = nn.Identity() if task == "sound-events" else nn.ReLU()
            network.encoder = nn.Sequential(
                network.encoder, nn.Conv1d(network.channels, self.projection, 1), last
            )
            network.channels = self.projection
        sizes = 2 * network.channels, network.embedding, classes
        if task == "sound-events" and (self.projection or isinstance(network.head, Head)):
            network.head = FrameHead(*sizes, self.pooling)
        elif self.projection:
            network.head = Head(*sizes)
        return network
