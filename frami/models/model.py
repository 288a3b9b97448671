"""Models and their bundles: save and load a network with its front end and its labels."""

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
from frami.core import code, files
from frami.core.errors import OperationError, UsageError
from frami.core.settings import settings_from_json, settings_to_json
from frami.models import bundle, loading, tasks
from frami.models.architecture import Architecture
from frami.models.foreign import Adoption
from frami.models.network import Classifier, Output, frozen
from frami.models.pooling import ATTENTION


@dataclass(frozen=True)
class Model:
    """A classifier of sounds, used as a teacher or as a student.

    Creating a model sets the ``task`` of its network, which adds it to every output.

    Attributes:
        architecture: Name and arguments of the network.
        network: The network.
        front_end: The front end of its spectrograms.
        labels: Class names, by class index.
        task: ``single-label``, ``multi-label`` or ``sound-events``; see `frami.models.tasks`.
        provenance: Origin of the weights: data, settings, teacher.
        frame_range: 5th and 95th percentile of the number of frames of its training clips.
        adoption: How a network of other code is called; None for frami's own networks.

    Raises:
        UsageError: The number of labels is not the number of classes, or ``frame_range`` is not a
            pair of positive integers in ascending order.
    """

    architecture: Architecture
    network: Classifier
    front_end: FrontEnd
    labels: tuple[str, ...]
    task: str = "single-label"
    provenance: Mapping[str, Any] = field(default_factory=dict)
    frame_range: tuple[int, int] = (100, 100)
    adoption: Adoption | None = None

    def __post_init__(self) -> None:
        classes = self.network.classes
        if isinstance(self.labels, str) or len(self.labels) != classes:
            raise UsageError(
                f"A network of {classes} classes needs {classes} labels, not {self.labels!r}."
            )
        try:
            shortest, longest = map(operator.index, self.frame_range)
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"`frame_range` is {self.frame_range!r}; it must be two integers."
            ) from error
        if not 1 <= shortest <= longest:
            raise UsageError(
                f"`frame_range` is {self.frame_range!r}; it must be two integers of 1 or more, the "
                f"lower first."
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
        network = architecture.build(front_end.n_mels, len(labels), task)
        return cls(architecture, network, front_end, tuple(labels), task, **attributes)

    @property
    def fingerprint(self) -> str:
        """16 hex digits that depend on the weights, front end, labels, task and architecture."""
        digest = hashlib.sha256(json.dumps(self._description(), sort_keys=True).encode())
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(name.encode())
            # As bytes, because numpy has no bfloat16.
            flat = tensor.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:16]

    @property
    def parameters(self) -> int:
        """Number of weights. The embedding counts, although a sound event detector ignores it."""
        return sum(p.numel() for p in self.network.parameters())

    def predict(self, waveform: Tensor) -> Output:
        """Return the output for one waveform ``(T,)`` at the front end's sample rate."""
        device = next(self.network.parameters()).device
        with torch.inference_mode(), frozen(self.network):
            return self.network(self.front_end(waveform).unsqueeze(0).to(device))

    def _description(self) -> dict[str, Any]:
        """Return the part of model.json that identifies the model, apart from its weights."""
        pooling, adoption = self.architecture.pooling, self.adoption
        return {
            "format": bundle.FORMAT,
            "network": self.architecture.network,
            "arguments": dict(self.architecture.arguments),
            "projection": self.architecture.projection,
            **({"pooling": pooling} if pooling != ATTENTION else {}),
            "front_end": settings_to_json(self.front_end),
            "labels": list(self.labels),
            "task": self.task,
            **({"adoption": settings_to_json(adoption)} if adoption is not None else {}),
        }

    @property
    def code(self) -> list[str]:
        """References of the user's functions that the model needs (`frami.core.code`)."""
        own = getattr(self.front_end, "function", "")
        references = [own, self.adoption.code if self.adoption else ""]
        return [reference for reference in references if reference]

    def save(self, folder: str | Path, **provenance: Any) -> Path:
        """Write the bundle, ``model.json`` and ``weights.safetensors``, and return its folder.

        The source files of functions of the user's own are copied into its folder ``code``.
        """
        folder = files.ensure_dir(folder)
        for reference in self.code:
            for name, source in code.save_source(folder, reference).items():
                files.ensure_dir((folder / name).parent)
                files.write_bytes(folder / name, source)
        weights = safetensors.torch.save(bundle.state_tensors(self.network))
        files.write_bytes(folder / bundle.WEIGHTS_FILE, weights)
        description = self._description() | {
            "frame_range": list(self.frame_range),
            "provenance": dict(self.provenance) | provenance,
            "parameters": self.parameters,
            "fingerprint": self.fingerprint,
        }
        files.write_json(folder / bundle.DESCRIPTION_FILE, description)
        return folder


# A model, the folder of its bundle, or the name of a bundle that is part of the package.
ModelLike = Model | str | Path


def list_pretrained() -> list[str]:
    """Return the names of the bundles that are part of the package.

    >>> list_pretrained()
    ['digits']
    """
    root = resources.files("frami.bundles")
    return sorted(
        entry.name for entry in root.iterdir() if entry.joinpath(bundle.DESCRIPTION_FILE).is_file()
    )


def resolve_bundle(model: str | Path) -> Path:
    """Return the folder of a bundle, from its path or from the name of one in the package."""
    if not isinstance(model, str | Path):
        raise UsageError(
            f"A model is needed, the folder of its bundle, or one of: "
            f"{', '.join(list_pretrained())}; it is {model!r}."
        )
    folder = Path(model)
    # A folder with the name of a pretrained model may hold anything else.
    if not (folder / bundle.DESCRIPTION_FILE).is_file() and str(model) in list_pretrained():
        folder = Path(str(resources.files("frami.bundles").joinpath(str(model))))
    if not (folder / bundle.DESCRIPTION_FILE).is_file():
        problem = "has no model.json" if folder.exists() else "does not exist"
        raise UsageError(
            f"The bundle {str(model)!r} {problem}. Give the folder of a bundle, or one of: "
            f"{', '.join(list_pretrained())}."
        )
    return folder


def as_model(model: ModelLike) -> Model:
    """Return a model unchanged, or load it from a bundle (see `load`)."""
    return model if isinstance(model, Model) else load(model)


def load(model: str | Path, *, trust_code: bool = False) -> Model:
    """Return the model of a bundle, frozen and in eval mode.

    Loading runs no code from the bundle unless it is trusted. The network is one of frami's, or one
    of a module that the program has already imported. The weights are plain tensors.

    Args:
        model: Folder of a bundle, or the name of a model that is part of the package.
        trust_code: Import the module of the network if it is the user's own (a name with a dot),
            and run the functions of the user's own that are part of the bundle.

    Raises:
        UsageError: The bundle does not exist.
        OperationError: The bundle is broken; the message names the key or tensor that is wrong. Or
            it needs code that is not trusted.
    """
    with code.trusting_code(trust_code):
        return _load(resolve_bundle(model))


def _load(folder: Path) -> Model:
    description = bundle.read_description(folder / bundle.DESCRIPTION_FILE)
    architecture = Architecture(
        description["network"],
        description["arguments"],
        description["projection"],
        str(description.get("pooling", ATTENTION)),
    )
    module = architecture.network
    if "." in module and module not in sys.modules and not code.is_trusted():
        raise OperationError(
            f"The bundle {folder} needs the module {module}, which is not part of frami. If you "
            f"trust it, import it: frami --import {module} ..., or trust_code=True in Python."
        )
    front_end = settings_from_json(FrontEnd, description["front_end"], f"{folder}/model.json")
    for reference in filter(None, [getattr(front_end, "function", "")]):
        code.load_reference(folder, reference)
    adoption: Adoption | None = None
    network: Classifier
    if "adoption" in description:
        adoption = settings_from_json(Adoption, description["adoption"], f"{folder}/model.json")
        network = loading.load_foreign_network(folder, description, adoption, front_end)
    else:
        network = loading.load_network(folder, description, architecture, front_end)
    shortest, longest = description["frame_range"]
    loaded = Model(
        architecture,
        network,
        front_end,
        tuple(description["labels"]),
        description["task"],
        description["provenance"],
        (shortest, longest),
        adoption,
    )
    expected = description.get("fingerprint")
    if expected is not None and expected != (fingerprint := loaded.fingerprint):
        raise OperationError(
            f"The bundle {folder} was changed: model.json and weights.safetensors do not belong "
            f"together (fingerprint {expected} expected, {fingerprint} found). Restore both, or "
            f"train again."
        )
    return loaded
