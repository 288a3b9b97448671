"""The files of a bundle, from whomever: read without running code, and refused by name where they are wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor, nn

from frami.core.errors import OperationError

BUNDLE_FILES = DESCRIPTION_FILE, WEIGHTS_FILE = "model.json", "weights.safetensors"
FORMAT = "frami bundle 1"
REQUIRED_KEYS = {
    "format": str,
    "network": str,
    "arguments": dict,
    "projection": int,
    "front_end": dict,
    "labels": list,
    "task": str,
    "provenance": dict,
    "frame_range": list,
}
MAX_SIZE = (
    10_000  # width, depth or embedding: beyond it even a network without memory takes long to build
)


def state_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return a network's weights as they are written; a layer that two modules hold is written for both."""
    return {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in network.state_dict().items()
    }


def read_description(path: Path) -> dict[str, Any]:
    """Return what a bundle says of itself, checked key by key."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise OperationError(
            f"{path} is not readable JSON ({error}); copy the bundle again."
        ) from error
    missing = (
        sorted(REQUIRED_KEYS.keys() - set(found))
        if isinstance(found, dict)
        else sorted(REQUIRED_KEYS)
    )
    if missing:
        raise OperationError(
            f"{path} lacks {', '.join(missing)}; it is no bundle of frami, or was cut off: copy it again."
        )
    if found["format"] != FORMAT:
        raise OperationError(
            f"{path} has the format {found['format']!r}; this frami reads {FORMAT!r}."
        )
    for name, kind in REQUIRED_KEYS.items():
        if not isinstance(found[name], kind):
            raise OperationError(
                f"{path} has {found[name]!r} as its {name}; copy the bundle again."
            )
    if not found["labels"] or not all(isinstance(label, str) for label in found["labels"]):
        raise OperationError(f"{path} names no labels; a bundle has one name for each class.")
    numbers = found["arguments"].values()
    if not all(isinstance(value, int | float) for value in numbers):
        raise OperationError(
            f"{path} gives the network arguments that are not numbers: {found['arguments']!r}."
        )
    frames = found["frame_range"]
    if (
        len(frames) != 2
        or not all(isinstance(n, int) for n in frames)
        or not 1 <= frames[0] <= frames[1] <= 10 * MAX_SIZE
    ):
        raise OperationError(
            f"{path} has {frames!r} as its frame_range; the shortest and the longest clip are needed there."
        )
    return found


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return a bundle's weights; a pickle is told apart from a file that is cut off."""
    if not path.is_file():
        raise OperationError(
            f"{path} is missing; a bundle is model.json and weights.safetensors: copy both."
        )
    try:
        return safetensors.torch.load_file(path)
    except (SafetensorError, OSError) as error:
        # Only now: a whole safetensors file may begin with these bytes too, the length of its header.
        with path.open("rb") as file:
            head = file.read(2)
        if head[:1] == b"\x80" or head == b"PK":
            raise OperationError(
                f"{path} is a pickle, which could run code; save the weights with safetensors."
            ) from error
        raise OperationError(
            f"{path} is truncated or no safetensors file ({error}); copy the bundle again."
        ) from error


def check_tensors(folder: Path, wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    """Refuse weights that are not those that the network needs, by name, shape, type and value."""
    for problem, names in (
        ("lacks", wanted.keys() - given.keys()),
        ("has an extra", given.keys() - wanted.keys()),
    ):
        if names:
            raise OperationError(
                f"The bundle {folder} {problem} tensor: {', '.join(sorted(names)[:3])}; save it again."
            )
    for name, tensor in given.items():
        if tensor.shape != wanted[name].shape or tensor.dtype != wanted[name].dtype:
            raise OperationError(
                f"The bundle {folder} has {name} of {tuple(tensor.shape)} {tensor.dtype}; "
                f"its network needs {tuple(wanted[name].shape)} {wanted[name].dtype}."
            )
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise OperationError(
                f"The bundle {folder} has values in {name} that are not numbers (NaN or infinity)."
            )
