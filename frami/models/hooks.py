"""Forward hooks, removed after each use. Nothing else in frami registers hooks.

A tensor inside a network is named by a selector:

    NAME            the output of the module with this dotted name
    NAME:input      its first input
    NAME[KEY]       one part of an output that is a tuple or a mapping: ``lstm[0]``, ``[logits]``

The network itself is ``.``, or an empty NAME before a KEY. Without a KEY, a tuple or a mapping
stands for its first tensor.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from torch import Tensor, nn

from frami.core.errors import UsageError

_SELECTOR = re.compile(r"(?P<module>[\w.]*)(?P<input>:input)?(?P<keys>(\[\w+\])*)")

PreHook = Callable[[nn.Module, tuple[Any, ...]], Any]
NamedPreHook = Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], Any]
Hook = Callable[[nn.Module, tuple[Any, ...], Any], Any]


@dataclass(frozen=True)
class Selector:
    """The parsed form of a selector.

    Attributes:
        module: Dotted name of the module.
        is_input: Whether it stands for the module's input.
        keys: Keys of the parts, ``"[0][1]"``; empty for the first tensor.
    """

    module: str
    is_input: bool
    keys: str

    @classmethod
    def parse(cls, text: str) -> Selector:
        """Return the selector that a text stands for."""
        match = _SELECTOR.fullmatch(text)
        if not text or match is None:
            raise UsageError(
                f"{text!r} does not name a tensor; write MODULE, MODULE:input or MODULE[KEY]."
            )
        return cls(match["module"].strip("."), bool(match["input"]), match["keys"])


@contextmanager
def pre_hooks(hooks: Iterable[tuple[nn.Module, PreHook]]) -> Iterator[None]:
    """Call a function before each of some modules runs, within the block.

    If the function returns a value, it replaces the module's inputs.
    """
    with ExitStack() as stack:
        for module, hook in hooks:
            stack.callback(module.register_forward_pre_hook(hook).remove)
        yield


@contextmanager
def named_pre_hooks(hooks: Iterable[tuple[nn.Module, NamedPreHook]]) -> Iterator[None]:
    """Like `pre_hooks`, for functions that also take the module's keyword arguments."""
    with ExitStack() as stack:
        for module, hook in hooks:
            stack.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)
        yield


@contextmanager
def forward_hooks(hooks: Iterable[tuple[nn.Module, Hook]]) -> Iterator[None]:
    """Call a function after each of some modules has run, within the block.

    If the function returns a value, it replaces the module's output.
    """
    with ExitStack() as stack:
        for module, hook in hooks:
            stack.callback(module.register_forward_hook(hook).remove)
        yield


@contextmanager
def record_outputs(network: nn.Module, selectors: Iterable[str]) -> Iterator[dict[str, Tensor]]:
    """Record tensors inside a network in every forward pass within the block, by selector.

    Each is a copy with gradient, so that a layer that works in place cannot change it later. Of a
    module that runs several times, the last run counts.

    Raises:
        UsageError: There is no such module, or it gives no such tensor.
    """
    recorded: dict[str, Tensor] = {}
    before: list[tuple[nn.Module, PreHook]] = []
    after: list[tuple[nn.Module, Hook]] = []

    def add(text: str) -> None:
        selector = Selector.parse(text)
        module = find_module(network, selector.module)

        def record_input(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            recorded[text] = _pick(inputs, selector.keys, text).clone()

        def record_output(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            recorded[text] = _pick(output, selector.keys, text).clone()

        if selector.is_input:
            before.append((module, record_input))
        else:
            after.append((module, record_output))

    for text in dict.fromkeys(selectors):
        add(text)
    with pre_hooks(before), forward_hooks(after):
        yield recorded


@contextmanager
def replace_output(module: nn.Module, value: Tensor) -> Iterator[None]:
    """Replace the output of a module by a tensor within the block."""
    with forward_hooks([(module, lambda *_: value)]):
        yield


@contextmanager
def replace_input(module: nn.Module, value: Tensor) -> Iterator[None]:
    """Replace the first input of a module by a tensor within the block."""
    with pre_hooks([(module, lambda _, inputs: (value, *inputs[1:]))]):
        yield


def find_module(network: nn.Module, name: str) -> nn.Module:
    """Return the module with a dotted name; the error for a wrong name suggests the nearest."""
    modules: dict[str, nn.Module] = dict(network.named_modules())
    if name not in modules:
        nearest = difflib.get_close_matches(name, modules, n=3, cutoff=0.4)
        guess = f"Did you mean {' or '.join(map(repr, nearest))}?" if nearest else ""
        raise UsageError(f"The network has no module {name!r}. {guess}".strip())
    return modules[name]


def flat_tensors(value: Any, keys: str = "") -> dict[str, Tensor]:
    """Return the tensors in a nested output, by the keys that a selector has for them.

    >>> import torch
    >>> list(flat_tensors({"logits": torch.zeros(1), "hidden": (torch.zeros(1), None)}))
    ['[logits]', '[hidden][0]']
    """
    if isinstance(value, Tensor):
        return {keys: value}
    parts: Mapping[Any, Any] = {}
    if isinstance(value, Mapping):
        parts = value
    elif isinstance(value, list | tuple):
        parts = dict(enumerate(value))
    elif is_dataclass(value):
        parts = {f.name: getattr(value, f.name) for f in fields(value)}
    return {
        inner: tensor
        for key, part in parts.items()
        for inner, tensor in flat_tensors(part, f"{keys}[{key}]").items()
    }


def _pick(value: Any, keys: str, text: str) -> Tensor:
    tensors = flat_tensors(value)
    if not keys and tensors:
        return next(iter(tensors.values()))
    if keys not in tensors:
        raise UsageError(
            f"{text!r} is not a tensor of the network. This module gives: "
            f"{', '.join(tensors) or 'no tensor'}."
        )
    return tensors[keys]
