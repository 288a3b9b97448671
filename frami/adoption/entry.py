"""The user's function that builds a module, and the front end that they name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from frami.audio.features import front_end_of
from frami.audio.frontend import FrontEnd
from frami.audio.named import FILE_SUFFIX, named_front_end
from frami.core import code
from frami.core.errors import UsageError
from frami.core.files import expand
from frami.models.building import build_module
from frami.models.state_dicts import load_weights, read_weights, refuse_other_formats

Builder = Callable[[], Any]


def find_builder(source: str | Builder) -> tuple[str, Builder]:
    """Return the reference of a function that builds a module, and the function.

    Args:
        source: An entry point, ``package.module:function`` or ``file.py:function``; or a function
            or an nn.Module class of an importable module.

    Raises:
        UsageError: There is no such function, or it cannot be found again by its name.
    """
    if isinstance(source, str):
        path = expand(source)
        if path.is_file() and path.suffix != ".py":
            refuse_other_formats(path)
        entry = source
    else:
        entry = _entry_of(source)
    reference = str(code.load_entry_point(entry))
    builder = code.find_function(reference)
    needed = [
        name
        for name, parameter in inspect.signature(builder).parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if needed:
        raise UsageError(
            f"{entry} needs arguments ({', '.join(needed)}). Name a function that returns the "
            f"module and needs none."
        )
    return reference, builder


def _entry_of(function: Builder) -> str:
    name, module = getattr(function, "__qualname__", ""), getattr(function, "__module__", "")
    if not callable(function) or not name:
        raise UsageError(
            f"`source` is a {type(function).__name__}; give the function or class that builds it, "
            f"so that a bundle can build it again."
        )
    if not name.isidentifier() or module == "__main__":
        raise UsageError(
            f"`source` is {name!r} of {module}, which no other program can import. Put the "
            f"function into a file and name it: 'file.py:function'."
        )
    return f"{module}:{name}"


def build_source(
    builder: Builder,
    weights: str | Path | None,
    key: str,
    report: Callable[[str], None] = lambda line: None,
    seed: int = 0,
) -> nn.Module:
    """Return the module that a function builds, with its weights.

    Args:
        builder: The function.
        weights: File of the weights; None if the function loads them.
        key: Where they are in the file; empty to find them.
        report: Called with each line on the weights.
        seed: Seed of what the function draws at random.
    """
    if key and weights is None:
        raise UsageError("`weights_key` is for a file of weights: name it with `weights`.")
    module = build_module(builder, seed)
    if weights is not None:
        tensors, notes = read_weights(weights, key)
        for note in notes + load_weights(module, tensors, str(weights)):
            report(note)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise UsageError(f"The module has values in {name} that are not numbers.")
    return module


def find_front_end(front_end: str | Path | FrontEnd, sample_rate: int | None) -> FrontEnd:
    """Return the front end that a user names.

    Args:
        front_end: A front end; what `frami.audio.named.named_front_end` takes; or the entry point
            of a feature function.
        sample_rate: Rate of the waveform (Hz), for a function.

    Raises:
        UsageError: There is no such front end.
    """
    if isinstance(front_end, FrontEnd):
        return front_end
    name = str(front_end)
    if ":" in name and not name.endswith(FILE_SUFFIX):
        if sample_rate is None:
            raise UsageError(f"`sample_rate` is required with the function {name}.")
        return front_end_of(name, sample_rate)
    return named_front_end(name)
