"""Build the network of a bundle and give it its weights."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from frami.audio.frontend import FrontEnd
from frami.core import code, seeds
from frami.core.errors import OperationError, UsageError
from frami.core.seeds import Stream
from frami.core.settings import settings_from_json
from frami.models import bundle, tasks
from frami.models.architecture import Architecture
from frami.models.building import build_module
from frami.models.foreign import Adoption, ForeignNetwork
from frami.models.network import Classifier, Network
from frami.models.pooling import ATTENTION


def read_parts(folder: Path) -> tuple[dict[str, Any], str | None]:
    """Return the attributes of the model of a bundle, and the fingerprint that it should have.

    Raises:
        UsageError: The bundle needs code that is not trusted.
        OperationError: The bundle is broken.
    """
    description = bundle.read_description(bundle.description_path(folder))
    architecture = Architecture(
        description["network"],
        description["arguments"],
        description["projection"],
        description.get("pooling", ATTENTION),
    )
    _check_trust(folder, architecture.network)
    front_end = settings_from_json(FrontEnd, description["front_end"], f"{folder}/model.json")
    if front_end.function:
        code.load_reference(folder, front_end.function)
    adoption: Adoption | None = None
    network: Classifier
    if "adoption" in description:
        adoption = settings_from_json(Adoption, description["adoption"], f"{folder}/model.json")
        network = _load_foreign_network(folder, description, adoption, front_end)
    else:
        network = _load_network(folder, description, architecture, front_end)
    parts = {
        "architecture": architecture,
        "network": network,
        "front_end": front_end,
        "adoption": adoption,
        "labels": tuple(description["labels"]),
        "frame_range": tuple(description["frame_range"]),
        "task": description["task"],
        "provenance": description["provenance"],
    }
    return parts, description.get("fingerprint")


def _check_trust(folder: Path, module: str) -> None:
    """Raise if a network's module is the user's own, and not trusted or imported yet."""
    if module.startswith("frami."):  # built as the user's own: it could allocate any memory
        raise OperationError(
            f"The bundle {folder} names the network {module!r}; a network of frami has no dot."
        )
    if "." in module and module not in sys.modules and not code.is_trusted():
        raise UsageError(
            f"The bundle {folder} needs the module {module}, which is not part of frami. If you "
            f"trust it, import it: frami --import {module} ..., or trust_code=True in Python."
        )


def _load_network(
    folder: Path, description: Mapping[str, Any], architecture: Architecture, front_end: FrontEnd
) -> Network:
    """Return the network of a bundle with its weights, frozen and in eval mode."""
    tensors = bundle.read_tensors(bundle.weights_path(folder))
    # Built on the meta device, which allocates nothing, in case the bundle asks for a huge network.
    # A user's own network may compute while it is built, and hold tensors that no bundle stores.
    is_user_module = "." in architecture.network
    try:
        task = tasks.find_task(description["task"]).name
        with seeds.seeded(0, Stream.LOADING) if is_user_module else torch.device("meta"):
            network = architecture.build(front_end.n_mels, len(description["labels"]), task)
    except UsageError as error:
        raise OperationError(f"The bundle {folder} cannot be built: {error}") from error
    bundle.check_tensors(folder, network.state_dict(), tensors)
    network.load_state_dict(tensors, assign=True)
    return network.eval().requires_grad_(False)


def _load_foreign_network(
    folder: Path, description: Mapping[str, Any], adoption: Adoption, front_end: FrontEnd
) -> ForeignNetwork:
    """Return the network of an adopted model with its weights, frozen and in eval mode.

    Raises:
        UsageError: Its code is not trusted.
        OperationError: Its code does not build the module that was adopted.
    """
    tensors = bundle.read_tensors(bundle.weights_path(folder))
    build = code.load_reference(folder, adoption.code)
    try:
        module = build_module(build)
        network = ForeignNetwork(module, adoption, front_end, len(description["labels"]))
    except UsageError as error:
        raise OperationError(f"The bundle {folder} cannot be built: {error}") from error
    bundle.check_tensors(folder, network.state_dict(), tensors)
    network.load_state_dict(tensors)  # copied, so that tied weights stay tied
    return network.eval().requires_grad_(False)


def check_fingerprint(folder: Path, expected: str, found: str) -> None:
    """Refuse a bundle whose weights belong to another description."""
    if found != expected:
        raise OperationError(
            f"The bundle {folder} was changed: model.json and weights.safetensors do not belong "
            f"together (fingerprint {expected} expected, {found} found). Restore both, or train "
            f"again."
        )
