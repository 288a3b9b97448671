"""Weights of other code: read a file of any common form, and fit its names to a module."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from frami.core.errors import OperationError, UsageError
from frami.core.files import ZIP_ERRORS, expand, is_zip
from frami.core.memory import raise_unless_damaged
from frami.core.text import count, preview
from frami.models.checkpoints import SAVE_STATE_DICT, find_weights
from frami.models.safetensors_files import load_safetensors
from frami.models.torch_archives import open_checked

# Names that wrappers put in front of those of the module.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "_model.", "ema_model.")
NO_MODULES = "It holds a graph, no modules. Name the model's Python code, and its state dict."
GRAPH_SUFFIXES = ".onnx", ".pte"
# The first bytes of other formats, at their position, and what they are.
OTHER_FORMATS = {
    (4, b"TFL3"): f"a TFLite model. {NO_MODULES}",
    (0, b"\x89HDF"): "an HDF5 file, as Keras writes it. Convert its weights to a PyTorch module.",
    (0, b"\x93NUMPY"): "a NumPy array. Save the weights of the module with safetensors.",
}


def read_weights(path: str | Path, key: str = "") -> tuple[dict[str, Tensor], list[str]]:
    """Return the tensors of a file of weights by name, and sentences on what was done to get them.

    Args:
        path: A safetensors file, or a torch file that holds a state dict, also within a training
            checkpoint. It is read without running code from it.
        key: Where the weights are in it (`frami.models.checkpoints`); empty to find them.

    Raises:
        UsageError: There is no such file, or it has another format.
        OperationError: It is cut off.
    """
    path = expand(path)
    if not path.is_file():
        raise UsageError(f"There is no file {str(path)!r}.")
    refuse_other_formats(path)
    if path.suffix == ".safetensors":
        try:
            content: Any = load_safetensors(path)
        except (SafetensorError, OSError) as error:
            raise_unless_damaged(error, path)
            raise OperationError(
                f"{path} is cut off or not a safetensors file ({error})."
            ) from error
    else:
        content = _load_torch_file(path)
    return find_weights(path, content, key)


def refuse_other_formats(path: Path) -> None:
    """Raise a UsageError if a file holds a model in a format that is not one of weights."""
    with path.open("rb") as file:
        head = file.read(16)
    if not head:
        raise OperationError(f"{path} is an empty file: fetch it again.")
    for (position, magic), what in OTHER_FORMATS.items():
        if head[position : position + len(magic)] == magic:
            raise UsageError(f"{path} is {what}")
    if path.suffix == ".onnx":
        raise UsageError(
            f"{path} is an ONNX file: its batch norms are folded away, and no gradient passes "
            f"through it. {SAVE_STATE_DICT}."
        )
    if is_zip(path):
        _refuse_programs(path)


def holds_graph(path: Path) -> bool:
    """Return whether a file holds a graph, as ONNX or TorchScript, and not weights alone."""
    if path.suffix in GRAPH_SUFFIXES or not is_zip(path):
        return path.suffix in GRAPH_SUFFIXES
    try:
        names = _names_in(path)
    except OperationError:
        return False
    return any(_is_script(name) or _is_program(name) for name in names)


def _names_in(path: Path) -> dict[str, int]:
    """Return the names of the files in a zip file, with the kind of their compression."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {entry.filename: entry.compress_type for entry in archive.infolist()}
    except ZIP_ERRORS as error:
        raise OperationError(f"{path} is cut off or not a torch file ({error}).") from error


def _is_script(name: str) -> bool:
    return "/code/" in name or name.startswith("code/")


def _is_program(name: str) -> bool:
    return name.endswith("/models/model.json")


def _refuse_programs(path: Path) -> None:
    """Raise a UsageError for TorchScript and exported programs, which are code, and other zips."""
    names = _names_in(path)
    if any(map(_is_script, names)):
        raise UsageError(
            f"{path} is a TorchScript file, and no hook can read inside of it. Name the Python "
            f"code of the model. {SAVE_STATE_DICT}."
        )
    if any(map(_is_program, names)):
        raise UsageError(
            f"{path} is an exported program (.pt2), which is code. Name the Python code of the "
            f"model. {SAVE_STATE_DICT}."
        )
    if set(names.values()) - {zipfile.ZIP_STORED}:
        raise UsageError(
            f"{path} is compressed, which torch.save does not do: it could hold any number of "
            f"bytes. {SAVE_STATE_DICT}."
        )


def _load_torch_file(path: Path) -> Any:
    try:
        return torch.load(open_checked(path), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not is_zip(path) and path.read_bytes()[:1] != b"\x80":
            raise UsageError(
                f"{path} is not a file of weights. Use safetensors or a torch file."
            ) from error
        raise UsageError(
            f"{path} holds Python objects beside tensors, such as a whole pickled model, and would "
            f"run code. {SAVE_STATE_DICT}."
        ) from error
    except Exception as error:  # a file of another kind can raise anything
        raise_unless_damaged(error, path)
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise OperationError(f"{path} is cut off or not a torch file ({reason}).") from error


def load_weights(module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> list[str]:
    """Give a module its weights in float32; return sentences on what was changed to fit them.

    Args:
        module: The module.
        tensors: The weights by name.
        source: Name of their file, for error messages.

    Raises:
        UsageError: The names or shapes do not fit those of the module.
    """
    expected = module.state_dict()
    tensors, notes = _fit_names(dict(tensors), set(expected))
    halves = {t.dtype for t in tensors.values() if t.is_floating_point()} - {torch.float32}
    if halves:
        kinds = ", ".join(sorted(str(kind).removeprefix("torch.") for kind in halves))
        notes.append(f"The weights are {kinds}; they were converted to float32.")
    tensors = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    wrong = [
        f"{name} has {tuple(tensors[name].shape)} there and {tuple(expected[name].shape)} here"
        for name in expected
        if name in tensors and tensors[name].shape != expected[name].shape
    ]
    if wrong:
        raise UsageError(
            f"{source} does not fit the module: {'; '.join(wrong[:3])}. Build the module with the "
            f"sizes that it was trained with."
        )
    # The module may rename keys itself, as weight norm does, so it decides what is missing.
    result = module.load_state_dict(tensors, strict=False)
    missing = [name for name in result.missing_keys if not name.endswith("num_batches_tracked")]
    if missing or result.unexpected_keys:
        problems = {
            "has weights that the module lacks": result.unexpected_keys,
            "lacks weights that the module has": missing,
        }
        texts = [f"{problem}: {preview(names)}" for problem, names in problems.items() if names]
        raise UsageError(
            f"{source} {'; it '.join(texts)}. Build the module that "
            f"the weights were trained in, or load them in the entry point."
        )
    bad = [name for name, t in tensors.items() if not bool(t.isfinite().all())]
    if bad:
        raise UsageError(f"{source} has values in {bad[0]} that are not numbers (NaN or infinity).")
    return notes


def _fit_names(
    tensors: dict[str, Tensor], expected: set[str]
) -> tuple[dict[str, Tensor], list[str]]:
    """Return the tensors under the module's names, and what was done to their names."""
    notes: list[str] = []
    while not expected & tensors.keys():
        inner = {prefix: _without(tensors, prefix) for prefix in PREFIXES}
        fitting = [prefix for prefix in PREFIXES if expected & inner[prefix].keys()]
        shared = [prefix for prefix in PREFIXES if len(inner[prefix]) == len(tensors) > 0]
        if not fitting + shared:  # a second prefix may lie behind one that all names have
            break
        prefix = (fitting + shared)[0]
        left = [name for name in tensors if not name.startswith(prefix)]
        rest = (
            f"; left out: {count(len(left), 'tensor')} without it ({preview(left)})" if left else ""
        )
        notes.append(f"The prefix {prefix!r} was taken off{rest}.")
        tensors = inner[prefix]
    for wrapper in ("module.", "_orig_mod."):  # of a part of the module
        inner_names = {name.replace(f".{wrapper}", "."): t for name, t in tensors.items()}
        if len(expected & inner_names.keys()) > len(expected & tensors.keys()):
            notes.append(f"The prefix {wrapper!r} was taken off inside of names.")
            tensors = inner_names
    return _add_prefix(tensors, expected, notes), notes


def _without(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names have a prefix, without it."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _add_prefix(
    tensors: dict[str, Tensor], expected: set[str], notes: list[str]
) -> dict[str, Tensor]:
    """Return the tensors under the name that the entry point's wrapper has for the module."""
    first = {name.partition(".")[0] for name in expected}
    if expected & tensors.keys() or len(first) != 1:
        return tensors
    prefix = f"{first.pop()}."
    longer = {f"{prefix}{name}": tensor for name, tensor in tensors.items()}
    if not expected & longer.keys():
        return tensors
    notes.append(f"The prefix {prefix!r} was added.")
    return longer
