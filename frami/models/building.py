"""Run the user's own code: the function that builds a module, and the module."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from frami.core import code
from frami.core.errors import FramiError, UsageError
from frami.core.memory import raise_if_full
from frami.core.seeds import Stream, seeded
from frami.models.unwrapping import unwrap
from frami.models.values import check_values


@contextmanager
def naming_lines(function: Callable[..., Any]) -> Iterator[None]:
    """Turn an error within the block into a sentence with the line of the function's file."""
    try:
        yield
    except FramiError:
        raise
    except Exception as error:
        raise_if_full(error)
        raise UsageError(code.describe_error(error, source_file(function))) from error


def source_file(function: Callable[..., Any]) -> str:
    """Return the file that defines a function or a class; its name if there is none."""
    try:
        return inspect.getsourcefile(function) or function.__name__
    except TypeError:
        return getattr(function, "__name__", repr(function))


def build_module(build: Callable[[], Any], seed: int = 0) -> nn.Module:
    """Return the module that a user's function builds, unwrapped, in float32 and in eval mode.

    Args:
        build: The function.
        seed: Seed of what it draws at random; bundles are loaded with 0.

    Raises:
        UsageError: The function raises an error, or returns something else, or a module that is
            quantized or has weights without values.
    """
    with seeded(seed, Stream.LOADING), naming_lines(build):
        module = build()
    if isinstance(module, torch.jit.ScriptModule):
        raise UsageError(
            "The entry point returns a TorchScript module, and no hook can read inside of it. "
            "Return the Python module that it was made from."
        )
    if not isinstance(module, nn.Module):
        raise UsageError(
            f"The entry point returns {type(module).__name__}; it must return a torch.nn.Module."
        )
    check_values(module)
    return unwrap(module).float().eval().requires_grad_(False)
