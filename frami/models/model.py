"""Models and their bundles: a network, its front end and its labels, in a folder that cannot run code."""

from __future__ import annotations

import hashlib
import json
import operator
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from frami.audio.frontend import FrontEnd
from frami.core import files, seeds
from frami.core.errors import OperationError, UsageError
from frami.core.seeds import Stream
from frami.core.settings import settings_from_json, settings_to_json
from frami.models import bundle, tasks
from frami.models.architecture import Architecture
from frami.models.network import Classifier, Output, frozen
from frami.models.pooling import ATTENTION


@dataclass(frozen=True)
class Model:
    """A classifier of sounds: teacher or student, they are the same thing.

    Attributes:
        architecture: How the network was built.
        network: The network.
        front_end: What it hears through.
        labels: Class names, by class index.
        task: A name of `frami.tasks`: ``single-label``, ``multi-label`` or ``frames``.
        provenance: Where it comes from: data, settings, teacher.
        frames: 5th and 95th percentile of the frames of the clips that it was trained on.

    Raises:
        WrongUse: the labels are not as many as the network's classes, or ``frames`` is no shortest and longest length.
    """

    architecture: Architecture
    network: Classifier
    front_end: FrontEnd
    labels: tuple[str, ...]
    task: str = "single-label"
    provenance: Mapping[str, Any] = field(default_factory=dict)
    frame_range: tuple[int, int] = (100, 100)

    def __post_init__(self) -> None:
        if isinstance(self.labels, str) or len(self.labels) != self.network.classes:
            raise UsageError(
                f"A network of {self.network.classes} classes needs as many labels; {self.labels!r} came."
            )
        try:
            shortest, longest = map(operator.index, self.frame_range)
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"frame_range is {self.frame_range!r}; the shortest and the longest length are allowed."
            ) from error
        if not 1 <= shortest <= longest:
            raise UsageError(
                f"frame_range is {self.frame_range!r}; 1 or more, the shortest first, is allowed."
            )
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "frame_range", (shortest, longest))
        self.network.task = tasks.find_task(self.task)

    @classmethod
    def build(
        cls,
        architecture: Architecture,
        front_end: FrontEnd,
        labels: tuple[str, ...],
        task: str = "single-label",
        **attributes: Any,
    ) -> Model:
        """Return a model with fresh weights, drawn from torch's global generator."""
        return cls(
            architecture,
            architecture.build(front_end.n_mels, len(labels), task),
            front_end,
            tuple(labels),
            task,
            **attributes,
        )

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with any weight, the front end, the labels or the architecture."""
        digest = hashlib.sha256(json.dumps(self._description(), sort_keys=True).encode())
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(name.encode())
            # By its bytes: numpy knows no bfloat16.
            digest.update(
                tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            )
        return digest.hexdigest()[:16]

    @property
    def parameters(self) -> int:
        """Number of weights of the model; a detector could do without those of its embedding."""
        return sum(p.numel() for p in self.network.parameters())

    def predict(self, waveform: Tensor) -> Output:
        """Return what the model says of one waveform ``(T,)`` at the front end's rate."""
        device = next(self.network.parameters()).device
        with torch.inference_mode(), frozen(self.network):
            return self.network(self.front_end(waveform).unsqueeze(0).to(device))

    def _description(self) -> dict[str, Any]:
        """Return what identifies the model beside its weights."""
        return {
            "format": bundle.FORMAT,
            "network": self.architecture.network,
            "arguments": dict(self.architecture.arguments),
            "projection": self.architecture.projection,
            **(
                {"pooling": self.architecture.pooling}
                if self.architecture.pooling != ATTENTION
                else {}
            ),
            "front_end": settings_to_json(self.front_end),
            "labels": list(self.labels),
            "task": self.task,
        }

    def save(self, folder: str | Path, **provenance: Any) -> Path:
        """Write the model as a bundle, ``model.json`` and ``weights.safetensors``; return the folder."""
        folder = files.ensure_dir(folder)
        files.write_bytes(
            folder / bundle.WEIGHTS_FILE, safetensors.torch.save(bundle.state_tensors(self.network))
        )
        description = self._description() | {
            "frame_range": list(self.frame_range),
            "provenance": dict(self.provenance) | provenance,
            "parameters": self.parameters,
            "fingerprint": self.fingerprint,
        }
        files.write_json(folder / bundle.DESCRIPTION_FILE, description)
        return folder


ModelLike = (
    Model | str | Path
)  # a model, its bundle's folder, or the name of one that ships with the package


def list_pretrained() -> list[str]:
    """Return the names of the models that come with the package.

    >>> list_pretrained()
    ['digits']
    """
    root = resources.files("frami.bundles")
    return sorted(
        entry.name for entry in root.iterdir() if entry.joinpath(bundle.DESCRIPTION_FILE).is_file()
    )


def resolve_bundle(model: str | Path) -> Path:
    """Return the folder of a bundle, given by its path or by the name of one that ships with the package."""
    folder = Path(model)
    # A folder of that name may hold anything else.
    if not (folder / bundle.DESCRIPTION_FILE).is_file() and str(model) in list_pretrained():
        folder = Path(str(resources.files("frami.bundles").joinpath(str(model))))
    if not (folder / bundle.DESCRIPTION_FILE).is_file():
        came = "has no model.json" if folder.exists() else "is not there"
        raise UsageError(
            f"The bundle {str(model)!r} {came}; give a bundle's folder, or one of: {', '.join(list_pretrained())}."
        )
    return folder


def as_model(model: ModelLike) -> Model:
    """Return a model as it is, or that of a bundle (`load`)."""
    return model if isinstance(model, Model) else load(model)


def load(model: str | Path, *, trust_code: bool = False) -> Model:
    """Return the model of a bundle, frozen and in eval mode.

    Loading runs no code that came with a bundle: the network is one of frami's own, or of a module that the program has
    imported itself, and the weights are plain tensors.

    Args:
        model: A bundle's folder, or the name of a model that ships with the package.
        trust_code: Import the network's module if it is one of the user's own (a name with a dot).

    Raises:
        WrongUse: there is no such bundle.
        Failed: the bundle is broken, with the tensor or the key that is wrong.
    """
    folder = resolve_bundle(model)
    description = bundle.read_description(folder / bundle.DESCRIPTION_FILE)
    architecture = Architecture(
        description["network"],
        description["arguments"],
        description["projection"],
        str(description.get("pooling", ATTENTION)),
    )
    if "." in architecture.network and architecture.network not in sys.modules and not trust_code:
        raise OperationError(
            f"The bundle {folder} is of a network that is not frami's, {architecture.network}; if you know where that is from, "
            f"import it: frami --import {architecture.network} ..., or trust_code=True."
        )
    front_end = settings_from_json(FrontEnd, description["front_end"], f"{folder}/model.json")
    tensors = bundle.read_tensors(folder / bundle.WEIGHTS_FILE)
    labels = tuple(description["labels"])
    # On the meta device first: nothing is allocated for a bundle that asks for a network of absurd size. A network of the
    # user's own may compute while it is built, and hold what is in no bundle.
    own = "." in architecture.network
    try:
        with seeds.seeded(0, Stream.LOADING) if own else torch.device("meta"):
            network = architecture.build(
                front_end.n_mels, len(labels), tasks.find_task(description["task"]).name
            )
    except UsageError as error:
        raise OperationError(f"The bundle {folder} cannot be built: {error}") from error
    bundle.check_tensors(folder, network.state_dict(), tensors)
    network.load_state_dict(tensors, assign=True)
    network.eval().requires_grad_(False)
    shortest, longest = description["frame_range"]
    found = Model(
        architecture,
        network,
        front_end,
        labels,
        description["task"],
        description["provenance"],
        (shortest, longest),
    )
    if description.get("fingerprint", found.fingerprint) != found.fingerprint:
        raise OperationError(
            f"The bundle {folder} is not what was saved: model.json and weights.safetensors do not belong together "
            f"(fingerprint {description['fingerprint']}, found {found.fingerprint}); restore both, or train anew."
        )
    found.__dict__.pop("fingerprint", None)  # its weights may be changed yet
    return found
