"""Models and their bundles: a network, its front end and its labels, in a folder that cannot run code."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from frami import catalog, files, settings
from frami.audio import FrontEnd
from frami.errors import Failed, WrongUse
from frami.network import Head, Network, Output

FORMAT = "frami bundle 1"
KEYS = {
    "format": str,
    "network": str,
    "arguments": dict,
    "projection": int,
    "front_end": dict,
    "labels": list,
    "task": str,
}
KEYS |= {"provenance": dict, "frames": list}
LARGEST = 10_000  # width, depth or embedding: beyond it even a network without memory takes long to build


@dataclass(frozen=True)
class Architecture:
    """Which network, built how.

    Attributes:
        network: Name of a module in ``frami.teachers`` or ``frami.students``.
        arguments: Arguments of its ``build``, after bands and classes.
        projection: Channels that the frames are projected to before pooling; 0 for none. It is how a student takes
            over its teacher's head, which expects the teacher's channels.
    """

    network: str
    arguments: Mapping[str, int | float] = field(default_factory=dict)
    projection: int = 0

    def build(self, bands: int, classes: int) -> Network:
        """Return the network with fresh weights, drawn from torch's global generator."""
        build = catalog.network(self.network).build
        for name, value in {**self.arguments, "projection": self.projection or 1}.items():
            if not 0 < value <= LARGEST:
                raise WrongUse(
                    f"The network {self.network!r} cannot have a {name} of {value}; 1 to {LARGEST} is allowed."
                )
        try:
            network = build(bands, classes, **self.arguments)
        except (TypeError, ValueError, RuntimeError) as error:
            raise WrongUse(
                f"The network {self.network!r} does not take these arguments: {dict(self.arguments)}."
            ) from error
        if self.projection:
            # After a ReLU as the teacher's own frames are, so that its head meets what it knows.
            network.encoder = nn.Sequential(network.encoder, nn.Conv1d(network.channels, self.projection, 1), nn.ReLU())
            network.head = Head(2 * self.projection, network.head.embedding.out_features, classes)
            network.channels = self.projection
        return network


@dataclass(frozen=True)
class Model:
    """A classifier of sounds: teacher or student, they are the same thing.

    Attributes:
        architecture: How the network was built.
        network: The network.
        front_end: What it hears through.
        labels: Class names, by class index.
        task: ``single-label``.
        provenance: Where it comes from: data, settings, teacher.
        frames: Shortest and longest spectrogram that it was trained on.
    """

    architecture: Architecture
    network: Network
    front_end: FrontEnd
    labels: tuple[str, ...]
    task: str = "single-label"
    provenance: Mapping[str, Any] = field(default_factory=dict)
    frames: tuple[int, int] = (100, 100)

    @classmethod
    def build(
        cls, architecture: Architecture, front_end: FrontEnd, labels: tuple[str, ...], **attributes: Any
    ) -> Model:
        """Return a model with fresh weights, drawn from torch's global generator."""
        return cls(
            architecture,
            architecture.build(front_end.n_mels, len(labels)),
            front_end,
            tuple(labels),
            **attributes,
        )

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change with any weight, the front end, the labels or the architecture."""
        digest = hashlib.sha256(json.dumps(self._description(), sort_keys=True).encode())
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    @property
    def parameters(self) -> int:
        """Number of weights that it takes to run the model."""
        return sum(p.numel() for p in self.network.parameters())

    def hear(self, waveform: Tensor) -> Output:
        """Return what the model says of one waveform ``(T,)`` at the front end's rate."""
        device = next(self.network.parameters()).device
        with torch.inference_mode():
            return self.network(self.front_end(waveform).unsqueeze(0).to(device))

    def _description(self) -> dict[str, Any]:
        """Return what identifies the model beside its weights."""
        return {
            "format": FORMAT,
            "network": self.architecture.network,
            "arguments": dict(self.architecture.arguments),
            "projection": self.architecture.projection,
            "front_end": asdict(self.front_end),
            "labels": list(self.labels),
            "task": self.task,
        }

    def save(self, folder: str | Path, **provenance: Any) -> Path:
        """Write the model as a bundle, ``model.json`` and ``weights.safetensors``; return the folder."""
        folder = files.folder(folder)
        tensors = {name: t.detach().cpu().contiguous() for name, t in self.network.state_dict().items()}
        files.write_bytes(folder / "weights.safetensors", safetensors.torch.save(tensors))
        description = self._description() | {
            "frames": list(self.frames),
            "provenance": dict(self.provenance) | provenance,
            "parameters": self.parameters,
            "fingerprint": self.fingerprint,
        }
        files.write_json(folder / "model.json", description)
        return folder


def shipped() -> list[str]:
    """Return the names of the models that come with the package.

    >>> shipped()
    ['digits']
    """
    root = resources.files("frami.bundles")
    return sorted(entry.name for entry in root.iterdir() if entry.joinpath("model.json").is_file())


def find(model: str | Path) -> Path:
    """Return the folder of a bundle, given by its path or by the name of one that ships with the package."""
    folder = Path(model)
    if not folder.exists() and str(model) in shipped():
        folder = Path(str(resources.files("frami.bundles").joinpath(str(model))))
    if not (folder / "model.json").is_file():
        came = "has no model.json" if folder.exists() else "is not there"
        raise WrongUse(f"The bundle {str(model)!r} {came}; give a bundle's folder, or one of: {', '.join(shipped())}.")
    return folder


def load(model: str | Path, *, trust_code: bool = False) -> Model:
    """Return the model of a bundle, frozen and in eval mode.

    Loading runs no code that came with a bundle: the network is one of frami's own, the weights are plain tensors.

    Args:
        model: A bundle's folder, or the name of a model that ships with the package.
        trust_code: Allow a network that is a module of the user's own (a name with a dot).

    Raises:
        WrongUse: there is no such bundle.
        Failed: the bundle is broken, with the tensor or the key that is wrong.
    """
    folder = find(model)
    description = _read_description(folder / "model.json")
    architecture = Architecture(description["network"], description["arguments"], description["projection"])
    if "." in architecture.network and not trust_code:
        raise Failed(
            f"The bundle {folder} wants to run code of its own ({architecture.network}); allow that with "
            f"trust_code=True if you know where it is from."
        )
    front_end = settings.from_json(FrontEnd, description["front_end"], f"{folder}/model.json")
    tensors = _read_tensors(folder / "weights.safetensors")
    labels = tuple(description["labels"])
    # On the meta device first: nothing is allocated for a bundle that asks for a network of absurd size.
    try:
        with torch.device("meta"):
            network = architecture.build(front_end.n_mels, len(labels))
    except WrongUse as error:
        raise Failed(f"The bundle {folder} cannot be built: {error}") from error
    _check_tensors(folder, network.state_dict(), tensors)
    network.load_state_dict(tensors, assign=True)
    network.eval().requires_grad_(False)
    shortest, longest = description["frames"]
    return Model(
        architecture,
        network,
        front_end,
        labels,
        description["task"],
        description["provenance"],
        (shortest, longest),
    )


def trainable(model: Model) -> Model:
    """Return a copy of a model whose weights may change, in training mode."""
    with torch.device("meta"):
        network = model.architecture.build(model.front_end.n_mels, len(model.labels))
    network.load_state_dict({n: t.clone() for n, t in model.network.state_dict().items()}, assign=True)
    return replace(model, network=network.train().requires_grad_(True))


def _read_description(path: Path) -> dict[str, Any]:
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise Failed(f"{path} is not readable JSON ({error}); copy the bundle again.") from error
    missing = sorted(KEYS.keys() - set(description)) if isinstance(description, dict) else sorted(KEYS)
    if missing:
        raise Failed(f"{path} lacks {', '.join(missing)}; it is no bundle of frami, or was cut off: copy it again.")
    if description["format"] != FORMAT:
        raise Failed(f"{path} has the format {description['format']!r}; this frami reads {FORMAT!r}.")
    for name, kind in KEYS.items():
        if not isinstance(description[name], kind):
            raise Failed(f"{path} has {description[name]!r} as its {name}; copy the bundle again.")
    if not description["labels"] or not all(isinstance(label, str) for label in description["labels"]):
        raise Failed(f"{path} names no labels; a bundle has one name for each class.")
    numbers = description["arguments"].values()
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in numbers):
        raise Failed(f"{path} gives the network arguments that are not numbers: {description['arguments']!r}.")
    frames = description["frames"]
    if (
        len(frames) != 2
        or not all(isinstance(n, int) for n in frames)
        or not 1 <= frames[0] <= frames[1] <= 10 * LARGEST
    ):
        raise Failed(f"{path} has {frames!r} as its frames; the shortest and the longest clip are needed there.")
    return description


def _read_tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise Failed(f"{path} is missing; a bundle is model.json and weights.safetensors: copy both.")
    try:
        return safetensors.torch.load_file(path)
    except (SafetensorError, OSError) as error:
        # Only now: a whole safetensors file may begin with these bytes too, the length of its header.
        with path.open("rb") as file:
            head = file.read(2)
        if head[:1] == b"\x80" or head == b"PK":
            raise Failed(f"{path} is a pickle, which could run code; save the weights with safetensors.") from error
        raise Failed(f"{path} is truncated or no safetensors file ({error}); copy the bundle again.") from error


def _check_tensors(folder: Path, wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    for problem, tensors in (
        ("lacks", wanted.keys() - given.keys()),
        ("has an extra", given.keys() - wanted.keys()),
    ):
        if tensors:
            raise Failed(f"The bundle {folder} {problem} tensor: {', '.join(sorted(tensors)[:3])}; save it again.")
    for name, tensor in given.items():
        if tensor.shape != wanted[name].shape or tensor.dtype != wanted[name].dtype:
            raise Failed(
                f"The bundle {folder} has {name} of {tuple(tensor.shape)} {tensor.dtype}; "
                f"its network needs {tuple(wanted[name].shape)} {wanted[name].dtype}."
            )
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise Failed(f"The bundle {folder} has values in {name} that are not numbers (NaN or infinity).")
