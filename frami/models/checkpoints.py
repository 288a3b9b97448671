"""Training checkpoints: find the weights among the optimizer, the epoch and other weights."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from frami.core.errors import UsageError
from frami.core.text import preview

# Keys under which a training checkpoint holds the weights, the likeliest first.
NESTED = (
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "weights",
    "params",
    "ema",
    "model_ema",
    "state_dict_ema",
    "ema_state_dict",
    "module",
)
AVERAGED = re.compile(r"(^|[._])(ema|swa|averaged|shadow)([._]|$)")  # in keys of such weights
MAX_LEVELS = 8  # of mappings within each other
MOST_SHARING = 64  # tensors that share one storage, on average; tied weights are few
LEAST_SHARE = 0.5  # of the weights' number of tensors; fewer are no other weights
SAVE_STATE_DICT = (
    "Where the model was trained, save its state dict: torch.save(model.state_dict(), 'weights.pt')"
)


def find_weights(path: Path, content: Any, key: str = "") -> tuple[dict[str, Tensor], list[str]]:
    """Return the state dict in the content of a file, and sentences on what was chosen.

    Args:
        path: The file, for messages.
        content: Its content.
        key: Where the weights are: keys joined by dots, or what the names of the tensors start
            with; empty for the likeliest place.

    Raises:
        UsageError: There is no state dict, or none under the key.
    """
    places = dict(_places(content, set()))
    for place in places.values():
        _check_plain(path, place)
    if key:
        tensors = places.get(key) or _part(content, key)
        if tensors is None:
            known = preview([name for name in places if name]) or "nothing else"
            raise UsageError(f"{path} holds no weights under {key!r}. It holds {known}.")
        return tensors, []
    chosen = _likeliest(content)
    if chosen is None or chosen not in places:
        held = preview([str(name) for name in content]) if isinstance(content, Mapping) else ""
        raise UsageError(
            f"{path} holds no state dict ({held or type(content).__name__}). {SAVE_STATE_DICT}."
        )
    notes = [f"The weights are under {chosen!r} of {path.name}."] if chosen else []
    least = LEAST_SHARE * len(places[chosen])
    others = [name for name, part in places.items() if name != chosen and len(part) >= least]
    others += _averaged_parts(places[chosen])
    if others:
        kind = "averaged weights" if all(map(AVERAGED.search, others)) else "other weights"
        notes.append(
            f"{path.name} also holds {kind} ({preview(others)}), which are not used: choose with "
            f"`weights_key`."
        )
    return places[chosen], notes


def _check_plain(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Raise a UsageError for tensors that are no plain arrays of real numbers in the file.

    A tensor can also repeat a few numbers, and stand for any amount of memory.
    """
    for name, tensor in tensors.items():
        is_plain = (
            tensor.layout == torch.strided
            and tensor.device.type == "cpu"
            and not (tensor.is_nested or tensor.is_quantized or tensor.is_complex())
            and _has_numbers(tensor.dtype)
            and tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()
        )
        if not is_plain:
            raise UsageError(
                f"{path} holds {name!r}, which is not a plain tensor: it is sparse, quantized, "
                f"complex, packed, expanded or without values. {SAVE_STATE_DICT}."
            )
    storages = [tensor.untyped_storage() for tensor in tensors.values()]
    stored = sum({one.data_ptr(): one.nbytes() for one in storages}.values())
    if stored > path.stat().st_size:  # an old torch file may leave values out
        raise UsageError(f"{path} holds tensors without values. {SAVE_STATE_DICT}.")
    if sum(tensor.nbytes for tensor in tensors.values()) > MOST_SHARING * stored:
        raise UsageError(
            f"{path} holds tensors that share their numbers with many others. {SAVE_STATE_DICT}."
        )


@cache
def _has_numbers(dtype: torch.dtype) -> bool:
    """Return whether torch can compute with a type; some pack several numbers in a byte."""
    try:
        torch.zeros(16, dtype=torch.uint8).view(dtype).float().isfinite()
    except (RuntimeError, TypeError):  # NotImplementedError is a RuntimeError
        return False
    return True


def _places(
    content: Any, seen: set[int], keys: tuple[str, ...] = ()
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield the state dicts in nested mappings, each once, by their keys joined by dots."""
    if not isinstance(content, Mapping) or id(content) in seen or len(keys) > MAX_LEVELS:
        return
    seen.add(id(content))
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    nested = {str(name): part for name, part in content.items() if isinstance(part, Mapping)}
    if tensors and len(tensors) >= len(nested):
        yield ".".join(keys), tensors
        return
    for name, part in nested.items():
        if "optim" not in name:
            yield from _places(part, seen, (*keys, name))


def _likeliest(content: Any) -> str | None:
    """Return the keys of the likeliest state dict, joined by dots; None if there is none."""
    keys: list[str] = []
    while isinstance(content, Mapping) and len(keys) <= MAX_LEVELS:
        nested = [name for name, value in content.items() if isinstance(value, Mapping)]
        n_tensors = sum(isinstance(value, Tensor) for value in content.values())
        if n_tensors and n_tensors >= len(nested):
            return ".".join(keys)
        known = [name for name in NESTED if name in nested]
        if not known:
            return None
        keys.append(known[0])
        content = content[known[0]]
    return None


def _part(content: Any, key: str) -> dict[str, Tensor] | None:
    """Return the tensors whose names start with a key, of the likeliest state dict, without it."""
    place = _likeliest(content)
    tensors = dict(_places(content, set())).get(place or "", {})
    prefix = f"{key.removesuffix('.')}."
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)} or None


def _averaged_parts(tensors: Mapping[str, Tensor]) -> list[str]:
    """Return the first parts of names that are those of averaged weights, if others are not."""
    first = dict.fromkeys(name.partition(".")[0] for name in tensors if "." in name)
    averaged = [name for name in first if AVERAGED.search(name)]
    return averaged if len(averaged) < len(first) else []
