"""Run a module under hooks, and see which of its tensors have an axis of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from frami.core.errors import UsageError
from frami.core.memory import raise_if_full
from frami.core.text import preview
from frami.models import axes
from frami.models.hooks import Selector, find_module, flat_tensors, forward_hooks, pre_hooks

CLIPS = 3  # of a trial batch; few layers have this many channels
# Axes of a convolution's output, and the order in which a transformer takes its positions.
GRID_ORDERS = {"bdfn": "fn", "bdnf": "nf", "bdn": "fn"}
MOST_SKIPPED = 3  # tokens before the patches: of the class, of a distillation


@dataclass(frozen=True)
class Trace:
    """A forward pass of a network, up to its error if it failed.

    Attributes:
        started: Names of the modules that ran, in the order in which they began.
        ended: The same in the order in which they ended. Of several runs, the last one counts.
        tensors: Their inputs and outputs, and those of the network, by selector
            (`frami.models.hooks`).
        error: The error that ended the pass.
    """

    started: list[str]
    ended: list[str]
    tensors: dict[str, Tensor]
    error: Exception | None = None

    @property
    def result(self) -> dict[str, Tensor]:
        """The tensors that the network returned, by selector."""
        return {text: x for text, x in self.tensors.items() if text == "." or text[0] == "["}


def copy(x: Tensor) -> Tensor:
    """Return a copy on the CPU, which a layer that works in place cannot change.

    Numbers of any precision become float32: a layer may work in bfloat16 or float64 inside of a
    network that does not, and both are compared.
    """
    dtype = torch.float32 if x.is_floating_point() else x.dtype
    return x.detach().to("cpu", dtype, copy=True)


@torch.no_grad()
def trace(network: nn.Module, x: Tensor) -> Trace:
    """Return the forward pass of a network on a batch, on the network's device.

    The network gets a copy: it may work in place, and the batch may be a user's recording.
    """
    x = x.to(next((tensor.device for tensor in network.parameters()), x.device), copy=True)
    started: dict[str, None] = {}
    ended: dict[str, None] = {}
    tensors: dict[str, Tensor] = {}
    names = {module: name for name, module in network.named_modules() if name}

    def record(name: str, value: Any) -> None:
        parts = {f"{name}{keys}": copy(part) for keys, part in flat_tensors(value).items()}
        first = next(iter(parts.values()), None)
        tensors.update({name: first, **parts} if first is not None else {})

    def begin(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        started.pop(names[module], None)
        started[names[module]] = None
        record(f"{names[module]}:input", inputs)

    def end(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        ended.pop(names[module], None)
        ended[names[module]] = None
        record(names[module], output)

    before, after = [(module, begin) for module in names], [(module, end) for module in names]
    error = None
    with pre_hooks(before), forward_hooks(after):
        try:
            result = flat_tensors(network(x))
            tensors |= {keys or ".": copy(part) for keys, part in result.items()}
        except Exception as raised:
            raise_if_full(raised)
            error = raised
    return Trace(list(started), list(ended), tensors, error)


class Comparison:
    """Two passes of clips of different length: what differs in shape is the axis of time.

    Attributes:
        network: The network.
        long: The pass of the longer clips.
        short: The pass of the shorter clips; it may have failed.
        loud: A pass of values far from usual ones, which only probabilities stay in [0, 1] for.
        grid: Frequency and time of a transformer's patches, and the order of both, if there are.
    """

    def __init__(self, network: nn.Module, long: Trace, short: Trace, loud: Trace) -> None:
        self.network, self.long, self.short, self.loud = network, long, short, loud
        self.modules = dict(network.named_modules())
        self.grid = self._find_grid()

    def axes(self, selector: str) -> str:
        """Return the axes of a tensor (`frami.models.axes`); empty if they are unclear."""
        x, shorter = self.long.tensors[selector], self.short.tensors.get(selector)
        if (
            self.grid is not None
            and (shorter is None or self.grid[0] > 1)
            and (x.dim() == 3 and len(x) == CLIPS and 0 <= self.skipped(x) <= MOST_SKIPPED)
        ):
            return f"b({self.grid[2]})d"
        return name_axes(x.shape, shorter.shape if shorter is not None else None)

    def values(self, selector: str) -> Tensor:
        """Return the values of a tensor in the usual and in the loud pass, ``(B, ...)``."""
        usual, loud = self.long.tensors[selector], self.loud.tensors.get(selector)
        fits = loud is not None and loud.shape == usual.shape
        return torch.cat([usual, loud]) if loud is not None and fits else usual

    def has_frames(self, selector: str) -> bool:
        """Return whether a tensor has channels and an axis of time."""
        return selector in self.long.tensors and axes.has_frames(self.axes(selector))

    def skipped(self, x: Tensor) -> int:
        """Return how many tokens of a sequence are not patches."""
        assert self.grid is not None
        return x.shape[1] - self.grid[0] * self.grid[1]

    def grid_of(self, selector: str, names: str) -> tuple[int, int]:
        """Return the tokens to skip, and the patches that lie one above the other."""
        if self.grid is None or f"({self.grid[2]})" not in names:
            return 0, 1
        return self.skipped(self.long.tensors[selector]), self.grid[0]

    def read(self, selector: str, names: str) -> Tensor:
        """Return a tensor as ``(B, D, N')`` or ``(B, D)``."""
        skipped, bands = self.grid_of(selector, names)
        x = self.long.tensors[selector]
        return axes.to_frames(x, names, clips=CLIPS, skipped=skipped, bands=bands)

    def check(self, selector: str) -> str:
        """Return a selector that the user names; raise a UsageError if there is no such tensor."""
        if not selector:
            return selector
        parsed = Selector.parse(selector)
        find_module(self.network, parsed.module)
        if selector not in self.long.tensors:
            known = [text for text in self.long.tensors if text.startswith(parsed.module)]
            raise UsageError(
                f"{selector!r} is not a tensor of this module; there are: {preview(known)}."
            )
        return selector

    def _find_grid(self) -> tuple[int, int, str] | None:
        """Return the grid of patches: the positions of a convolution that are later tokens."""
        for name in self.long.ended:
            if not isinstance(self.modules[name], nn.Conv1d | nn.Conv2d):
                continue
            x, shorter = self.long.tensors[name], self.short.tensors.get(name)
            names = name_axes(x.shape, shorter.shape) if shorter is not None else ""
            if names not in GRID_ORDERS:
                continue
            bands = x.shape[names.index("f")] if "f" in names else 1
            frames = x.shape[names.index("n")]
            if any(
                later.dim() == 3
                and later.shape[2] == x.shape[1]
                and 0 <= later.shape[1] - bands * frames <= MOST_SKIPPED
                for later in self.long.tensors.values()
            ):
                return bands, frames, GRID_ORDERS[names]
        return None


def name_axes(shape: Sequence[int], shorter: Sequence[int] | None) -> str:
    """Return the axes of a tensor from its shapes for long and short clips; empty if unclear.

    >>> name_axes((3, 64, 4, 50), (3, 64, 4, 30)), name_axes((3, 50, 8), (3, 30, 8))
    ('bdfn', 'bnd')
    >>> name_axes((150, 16), (90, 16)), name_axes((3, 8, 1, 1), (3, 8, 1, 1))
    ('(bn)d', 'bdff')
    """
    if len(shape) < 2:
        return ""
    if shorter is None:  # the shorter clip did not come that far
        return _without_time(shape) if sum(size > 1 for size in shape[1:]) < 2 else ""
    if len(shape) != len(shorter):
        return ""
    differing = [i for i, (a, b) in enumerate(zip(shape, shorter, strict=True)) if a != b]
    if differing == [0]:
        if len(shape) == 3 and shape[1] == CLIPS:
            return "nbd"
        return f"(bn)d{'f' * (len(shape) - 2)}" if shape[0] % CLIPS == 0 else ""
    if len(differing) > 1 or shape[0] != CLIPS:
        return ""
    if not differing:
        return _without_time(shape)
    if len(shape) == 2:
        return ""  # channels and frames in one axis
    letters = ["b", *"f" * (len(shape) - 1)]
    letters[differing[0]] = "n"
    letters[-1 if differing[0] == 1 else 1] = "d"
    return "".join(letters)


def _without_time(shape: Sequence[int]) -> str:
    """Return the axes of a tensor without time; the channels are its largest axis."""
    channels = max(range(1, len(shape)), key=lambda i: (shape[i], -i))
    return "b" + "".join("d" if i == channels else "f" for i in range(1, len(shape)))
