"""Models and their bundles: save and load a network with its front end and its labels."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, SupportsIndex

import torch
from numpy.typing import NDArray
from torch import Tensor

from frami.audio.frontend import FrontEnd
from frami.audio.waveform import as_waveform
from frami.core import code, files
from frami.core.checks import check_frame_range
from frami.core.files import expand
from frami.models import bundle, hub_layout, loading, tasks
from frami.models.architecture import Architecture, check_architecture, check_rebuilt
from frami.models.bundle import list_pretrained as list_pretrained
from frami.models.bundle import resolve_bundle as resolve_bundle
from frami.models.description import describe_model
from frami.models.foreign import Adoption, ForeignNetwork
from frami.models.intake import check_labels, take_in
from frami.models.network import Classifier, Output, frozen


@dataclass(frozen=True)
class Model:
    """A classifier of sounds, used as a teacher or as a student.

    Creating a model sets the ``task`` of its network, which adds it to every output, removes
    wrappers such as DataParallel from it, and brings it to float32.

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
        UsageError: ``architecture`` is not an `Architecture`, the number of labels is not the
            number of classes, or ``frame_range`` is not a pair of positive integers in ascending
            order.
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
        check_architecture(self.architecture)
        object.__setattr__(self, "network", take_in(self.network))
        object.__setattr__(self, "labels", check_labels(self.labels, self.network.classes))
        object.__setattr__(self, "frame_range", check_frame_range(self.frame_range))
        self.network.task = tasks.find_task(self.task)
        if isinstance(self.network, ForeignNetwork):
            self.network.measure_output_rate(self.frame_range[1])

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
        check_architecture(architecture)
        network = architecture.build(front_end.n_mels, len(labels), task)
        return cls(architecture, network, front_end, tuple(labels), task, **attributes)

    @property
    def fingerprint(self) -> str:
        """16 hex digits that depend on the weights, front end, labels, task and architecture."""
        return bundle.fingerprint(self._description(), self.network.state_dict())

    @property
    def parameters(self) -> int:
        """Number of weights. The embedding counts, although a sound event detector ignores it."""
        return sum(p.numel() for p in self.network.parameters())

    def predict(
        self, sound: str | Path | Tensor | NDArray[Any], sample_rate: int | None = None
    ) -> Output:
        """Return the output for one sound, a batch of 1.

        `frami.predict` also gives labels, windows and the times of events.

        Args:
            sound: Path of an audio file; or a waveform, as tensor or array: ``(T,)``, ``(1, T)`` or
                two channels ``(2, T)``, floats in [-1, 1], int16 or int32.
            sample_rate: Rate of the waveform, Hz; None means the front end's. A file has its own.

        Raises:
            UsageError: The sound is not a waveform, too short, or not finite.
            OperationError: The sound is digital silence, or the file cannot be read.
        """
        waveform = as_waveform(sound, sample_rate, self.front_end.sample_rate)
        device = next(self.network.parameters()).device
        with torch.inference_mode(), frozen(self.network):
            return self.network(self.front_end(waveform).unsqueeze(0).to(device))

    def _description(self) -> dict[str, Any]:
        """Return the part of model.json that identifies the model, apart from its weights."""
        parts = self.architecture, self.front_end, self.labels, self.task
        return describe_model(*parts, self.adoption)

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """Have a model of the user's own code pickled as a bundle with that code."""
        return (_unpickle, (self._files(),)) if self.code else super().__reduce_ex__(protocol)

    def _files(self) -> dict[str, bytes]:
        with tempfile.TemporaryDirectory() as folder:
            return files.read_tree(self.save(folder))

    @property
    def code(self) -> list[str]:
        """References of the user's functions that the model needs (`frami.core.code`)."""
        references = [self.front_end.function, self.adoption.code if self.adoption else ""]
        return [reference for reference in references if reference]

    def save(self, folder: str | Path, **provenance: Any) -> Path:
        """Write the bundle, ``model.json`` and ``weights.safetensors``, and return its folder.

        The source files of functions of the user's own are copied into its folder ``code``.

        It raises a `UsageError` if the architecture builds another network.
        """
        check_rebuilt(self.architecture, self.network, self.front_end.n_mels, self.task)
        description = self._description() | {
            "frame_range": list(self.frame_range),
            "provenance": dict(self.provenance) | provenance,
            "parameters": self.parameters,
            "fingerprint": self.fingerprint,
        }
        return bundle.write(expand(folder), description, self.network, self.code)

    def save_pretrained(self, folder: str | Path, *, card: str | None = None) -> Path:
        """Write the bundle in the layout of the Hugging Face Hub, and return its folder.

        The folder holds ``config.json``, ``model.safetensors`` and the model card ``README.md``.
        `frami.load` reads it, and so do all commands. ``card`` is the text of the model card; None
        keeps the card that is there, or writes a short one.

        Raises:
            UsageError: The folder holds a bundle in frami's own layout.
        """
        hub_layout.check_folder(folder)
        return hub_layout.convert(self.save(folder), card)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        revision: str | None = None,
        trust_code: bool = False,
        **options: Any,
    ) -> Model:
        """Return a model from a folder, from the package or from the Hugging Face Hub.

        Args:
            source: Folder of a bundle, name of a pretrained model, or ``owner/name`` on the Hub,
                which needs the extra ``hub``.
            revision: Branch, tag or commit on the Hub.
            trust_code: See `load`.
            options: ``token``, ``cache_dir``, ``force_download`` and ``local_files_only`` of
                huggingface_hub.

        Raises:
            UsageError: The source does not exist, or the extra ``hub`` is not installed.
            OperationError: The bundle is broken, or the Hub cannot be reached.
        """
        if not expand(source).is_dir() and str(source) not in list_pretrained():
            source = hub_layout.import_hub().download(str(source), revision, **options)
        return load(source, trust_code=trust_code)

    def push_to_hub(self, repository: str, *, card: str | None = None, **options: Any) -> str:
        """Upload the bundle to ``owner/name`` on the Hugging Face Hub; return the commit's address.

        ``options`` are ``private``, ``token``, ``branch``, ``create_pr`` and ``commit_message`` of
        huggingface_hub.

        Raises:
            UsageError: The extra ``hub`` is not installed, or the name is not one.
            OperationError: The Hub cannot be reached, or refuses.
        """
        hub = hub_layout.import_hub()
        return hub.upload(
            lambda folder: self.save_pretrained(folder, card=card), repository, **options
        )


# A model, the folder of its bundle, or the name of a bundle that is part of the package.
ModelLike = Model | str | Path


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
        UsageError: The bundle does not exist, or it needs code that is not trusted.
        OperationError: The bundle is broken; the message names the key or tensor that is wrong.
    """
    with code.trusting_code(trust_code):
        return _load(resolve_bundle(model))


def _unpickle(contents: Mapping[str, bytes]) -> Model:
    """Return a model from the files of its bundle; a pickle is trusted, because it runs code."""
    with tempfile.TemporaryDirectory() as folder:
        files.write_tree(Path(folder), contents)
        return load(folder, trust_code=True)


def _load(folder: Path) -> Model:
    parts, expected = loading.read_parts(folder)
    loaded = Model(**parts)
    if expected is not None:
        loading.check_fingerprint(folder, expected, loaded.fingerprint)
    return loaded
