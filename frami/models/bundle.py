"""Write the files of a bundle; read and check them, without running code from it.

A bundle may come from an unknown source. Errors name the key or tensor that is wrong.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from frami.core import code, files
from frami.core.errors import OperationError, UsageError
from frami.core.files import expand
from frami.core.json_files import has_type, read_json, shorten
from frami.core.memory import raise_unless_damaged
from frami.models.safetensors_files import load_safetensors
from frami.models.state_dicts import holds_graph

BUNDLE_FILES = DESCRIPTION_FILE, WEIGHTS_FILE = "model.json", "weights.safetensors"
# The layout of the Hugging Face Hub. Its config.json holds the description under the key "frami".
HUB_FILES = "config.json", "model.safetensors"
HUB_KEY = "frami"
FORMAT = "frami bundle 1"
REQUIRED_KEYS: dict[str, Any] = {
    "format": str,
    "network": str,
    "arguments": dict[str, int | float],
    "projection": int,
    "front_end": dict,
    "labels": list[str],
    "task": str,
    "provenance": dict,
    "frame_range": list[int],
}
OPTIONAL_KEYS = {"pooling": str, "adoption": dict, "fingerprint": str, "parameters": int}
# Highest width or embedding, and highest depth. Beyond them, a network takes long to build even
# without memory.
MAX_SIZE, MAX_DEPTH = 10_000, 1_000


def description_path(folder: Path) -> Path:
    """Return the file that describes the bundle of a folder: model.json, or that of the Hub."""
    own, hub = folder / DESCRIPTION_FILE, folder / HUB_FILES[0]
    return hub if hub.is_file() and not own.is_file() else own


def weights_path(folder: Path) -> Path:
    """Return the file with the weights of the bundle in a folder."""
    is_own = description_path(folder).name == DESCRIPTION_FILE
    return folder / (WEIGHTS_FILE if is_own else HUB_FILES[1])


def is_bundle(folder: Path) -> bool:
    """Return whether a folder holds a bundle, in frami's layout or in that of the Hub."""
    return description_path(folder).is_file()


def list_pretrained() -> list[str]:
    """Return the names of the bundles that are part of the package.

    >>> list_pretrained()
    ['digits']
    """
    root = resources.files("frami.bundles")
    return sorted(
        entry.name for entry in root.iterdir() if entry.joinpath(DESCRIPTION_FILE).is_file()
    )


def resolve_bundle(model: str | Path) -> Path:
    """Return the folder of a bundle, from its path or from the name of one in the package."""
    if not isinstance(model, str | Path):
        raise UsageError(
            f"A model is needed, the folder of its bundle, or one of: "
            f"{', '.join(list_pretrained())}; it is {model!r}."
        )
    folder = expand(model)
    # A folder with the name of a pretrained model may hold anything else.
    if not is_bundle(folder) and str(model) in list_pretrained():
        folder = Path(str(resources.files("frami.bundles").joinpath(str(model))))
    if not is_bundle(folder):
        if folder.is_file():
            raise UsageError(_describe_file(folder))
        problem = "has no model.json" if folder.exists() else "does not exist"
        if (folder / "export.json").is_file():
            problem = "is an export, which only frami predict takes"
        raise UsageError(
            f"The bundle {str(model)!r} {problem}. Give the folder of a bundle, or one of: "
            f"{', '.join(list_pretrained())}."
        )
    return folder


def _describe_file(path: Path) -> str:
    """Return the error for a file that is given in place of a bundle."""
    start = f"{path} is a file, not a bundle."
    if is_bundle(path.parent):
        return f"{start} Give its folder, {path.parent}."
    if path.suffix == ".h5":
        return f"{start} Give the folder of a bundle, or one of: {', '.join(list_pretrained())}."
    graph = " The graph in this file cannot be adopted." if holds_graph(path) else ""
    return (
        f"{start}{graph} Make a bundle of your network with frami adopt, from its Python code and "
        f"its state dict."
    )


def fingerprint(description: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Return 16 hex digits that depend on a model's description and on its weights."""
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        # As bytes, because numpy has no bfloat16.
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def state_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return a network's weights for a file; a shared layer is included under all its names."""
    return {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in network.state_dict().items()
    }


def write(
    folder: Path, description: Mapping[str, Any], network: nn.Module, references: Iterable[str]
) -> Path:
    """Write a bundle, with the source files of the user's code that it refers to.

    Args:
        folder: Folder of the bundle; it is made.
        description: The content of model.json.
        network: The network whose weights are written.
        references: References of the user's functions (`frami.core.code`).

    Returns:
        The folder.
    """
    files.ensure_dir(folder)
    for reference in references:
        for name, source in code.save_source(folder, reference).items():
            files.ensure_below(folder, Path(name).parent)
            files.write_bytes(folder / name, source)
    files.write_bytes(folder / WEIGHTS_FILE, safetensors.torch.save(state_tensors(network)))
    files.write_json(folder / DESCRIPTION_FILE, description)
    return folder


def read_description(path: Path) -> dict[str, Any]:
    """Return the content of a model.json, with every key checked."""
    description: dict[str, Any] = read_json(path)
    if path.name == HUB_FILES[0] and isinstance(description, dict):
        description = description.get(HUB_KEY, {})
    keys = set(description) if isinstance(description, dict) else set()
    missing = sorted(REQUIRED_KEYS.keys() - keys)
    if missing:
        raise OperationError(
            f"{path} lacks {', '.join(missing)}: it is not a frami bundle, or it was cut off. "
            f"Copy it again."
        )
    if description["format"] != FORMAT:
        raise OperationError(
            f"{path} has the format {description['format']!r}; this frami reads {FORMAT!r}."
        )
    for name, kind in {**REQUIRED_KEYS, **OPTIONAL_KEYS}.items():
        if name in description and not has_type(description[name], kind):
            raise OperationError(
                f"{path} has {shorten(description[name])} as its {name}. Copy the bundle again."
            )
    _check_values(path, description)
    return description


def _check_values(path: Path, description: Mapping[str, Any]) -> None:
    if not description["labels"]:
        raise OperationError(f"{path} names no labels; a bundle has one name for each class.")
    frame_range = description["frame_range"]
    if len(frame_range) != 2 or not 1 <= frame_range[0] <= frame_range[1] <= 10 * MAX_SIZE:
        raise OperationError(
            f"{path} has {frame_range!r} as its frame_range; it must be the lowest and the highest "
            f"number of frames."
        )


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the weights of a bundle; the error differs for a pickle and for a truncated file."""
    if not path.is_file():
        raise OperationError(
            f"{path} is missing. A bundle is model.json and weights.safetensors, or on the Hub "
            f"config.json and model.safetensors: copy both."
        )
    try:
        return load_safetensors(path)
    except (SafetensorError, OSError) as error:
        raise_unless_damaged(error, path)
        # Checked only now: the length of its header can give a valid file these first bytes, too.
        with path.open("rb") as file:
            head = file.read(2)
        if head[:1] == b"\x80" or head == b"PK":
            raise OperationError(
                f"{path} is a pickle, which could run code. Save the weights with safetensors."
            ) from error
        raise OperationError(
            f"{path} is truncated or not a safetensors file ({error}). Copy the bundle again."
        ) from error


def check_tensors(
    folder: Path, expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor]
) -> None:
    """Refuse weights that do not fit the network in name, shape, type or value."""
    for problem, names in (
        ("lacks", expected.keys() - tensors.keys()),
        ("has an extra", tensors.keys() - expected.keys()),
    ):
        if names:
            raise OperationError(
                f"The bundle {folder} {problem} tensor: {', '.join(sorted(names)[:3])}. "
                f"Save it again."
            )
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape or tensor.dtype != expected[name].dtype:
            raise OperationError(
                f"The bundle {folder} has {name} of {tuple(tensor.shape)} {tensor.dtype}; "
                f"its network needs {tuple(expected[name].shape)} {expected[name].dtype}."
            )
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise OperationError(
                f"The bundle {folder} has values in {name} that are not numbers (NaN or infinity)."
            )
