"""Build the network of a bundle and give it its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from frami.audio.frontend import FrontEnd
from frami.core import code, seeds
from frami.core.errors import OperationError, UsageError
from frami.core.seeds import Stream
from frami.models import bundle, tasks
from frami.models.architecture import Architecture
from frami.models.building import build_module
from frami.models.foreign import Adoption, ForeignNetwork
from frami.models.network import Network


def load_network(
    folder: Path, description: Mapping[str, Any], architecture: Architecture, front_end: FrontEnd
) -> Network:
    """Return the network of a bundle with its weights, frozen and in eval mode."""
    tensors = bundle.read_tensors(folder / bundle.WEIGHTS_FILE)
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


def load_foreign_network(
    folder: Path, description: Mapping[str, Any], adoption: Adoption, front_end: FrontEnd
) -> ForeignNetwork:
    """Return the network of an adopted model with its weights, frozen and in eval mode.

    Raises:
        OperationError: Its code is not trusted, or does not build the module that was adopted.
    """
    tensors = bundle.read_tensors(folder / bundle.WEIGHTS_FILE)
    build = code.load_reference(folder, adoption.code)
    try:
        module = build_module(build)
        network = ForeignNetwork(module, adoption, front_end, len(description["labels"]))
    except UsageError as error:
        raise OperationError(f"The bundle {folder} cannot be built: {error}") from error
    bundle.check_tensors(folder, network.state_dict(), tensors)
    network.load_state_dict(tensors)  # copied, so that tied weights stay tied
    return network.eval().requires_grad_(False)
