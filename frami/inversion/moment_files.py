"""Files of moments: what the owner of recordings hands over in place of the recordings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from frami.core import files
from frami.core.errors import OperationError, UsageError
from frami.core.files import expand
from frami.core.json_files import check_entries, parse_object
from frami.core.memory import raise_unless_damaged
from frami.inversion.hooks import Moments
from frami.models.model import Model
from frami.models.safetensors_files import check_header

FORMAT = "frami moments 1"
DTYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64}


@dataclass(frozen=True)
class MomentFile:
    """The moments at the inputs of a teacher's layers, over recordings.

    Attributes:
        teacher: Fingerprint of the teacher.
        layers: Moments over all clips, by layer name; ``""`` is the network, whose input is the
            spectrogram.
        classes: Mean ``(K, C)`` and variance ``(K, C)`` of the clips of each class, by layer name;
            empty unless they were requested.
        details: Data set, number of clips, smallest count, privacy.
        digest: 16 hex digits of the file; empty before it is written.
    """

    teacher: str
    layers: Mapping[str, Moments]
    classes: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""

    def save(self, path: str | Path, **details: Any) -> None:
        """Write the file, a safetensors file whose header describes it.

        Args:
            path: The file.
            details: Further entries of the header.
        """
        tensors = {f"{name}|mean": moments.mean for name, moments in self.layers.items()}
        tensors |= {f"{name}|var": moments.var for name, moments in self.layers.items()}
        tensors |= {f"{name}|class_mean": mean for name, (mean, _) in self.classes.items()}
        tensors |= {f"{name}|class_var": var for name, (_, var) in self.classes.items()}
        content = {
            "teacher": self.teacher,
            "pooled": sorted(name for name, moments in self.layers.items() if moments.pooled),
            **self.details,
            **details,
        }
        metadata = {"format": FORMAT, "content": json.dumps(content)}
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        files.write_bytes(expand(path), safetensors.torch.save(plain, metadata))


def load_moments(path: str | Path, teacher: Model) -> MomentFile:
    """Return the moments in a file, checked against the teacher.

    Raises:
        UsageError: There is no such file, or it is of another teacher.
        OperationError: The file is damaged, or holds something else.
    """
    path = expand(path)
    if not path.is_file():
        raise UsageError(f"There is no file of moments {str(path)!r}. 'frami moments' writes one.")
    content, tensors = _read(path)
    if content["teacher"] != teacher.fingerprint:
        raise UsageError(
            f"{path} has the moments of the teacher {content['teacher']}, but this is "
            f"{teacher.fingerprint}. Let the owner of the recordings compute those of this teacher."
        )
    layers, classes = _sort(path, tensors, set(content.get("pooled", ())))
    modules = {name for name, _ in teacher.network.named_modules()}
    unknown = sorted(layers.keys() - modules)
    if unknown or not layers:
        raise OperationError(
            f"{path} is damaged: it names {unknown[0] if unknown else 'no layer'}, which the "
            f"teacher does not have. Compute it again."
        )
    for name, (mean, _) in classes.items():
        if mean.shape != (len(teacher.labels), len(layers[name].mean)):
            raise OperationError(
                f"{path} is damaged at the layer {name}: its moments of classes have the shape "
                f"{tuple(mean.shape)}; it must be {len(teacher.labels)} classes by "
                f"{len(layers[name].mean)} channels. Compute it again."
            )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    details = {k: v for k, v in content.items() if k not in ("teacher", "pooled")}
    return MomentFile(content["teacher"], layers, classes, details, digest)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        check_header(path)
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (SafetensorError, OSError, ValueError) as error:
        raise_unless_damaged(error, path)
        raise OperationError(
            f"{path} is truncated or not a file of moments ({error}). Copy it again."
        ) from error
    if metadata.get("format") != FORMAT:
        raise OperationError(f"{path} is not a file of moments. 'frami moments' writes one.")
    content = parse_object(metadata.get("content", "{}"), str(path))
    if "teacher" not in content:
        raise OperationError(f"{path} does not name its teacher. Copy it again.")
    check_entries(content, str(path), {"teacher": str}, {"pooled": list[str]})
    return content, tensors


def _sort(
    path: Path, tensors: Mapping[str, Tensor], pooled: set[str]
) -> tuple[dict[str, Moments], dict[str, tuple[Tensor, Tensor]]]:
    """Return the tensors by layer; refuse values that no recordings can have."""
    names = {name.rpartition("|")[0] for name in tensors}
    layers, classes = {}, {}
    for name in sorted(names):
        for prefix in ("", "class_"):
            mean, var = (tensors.get(f"{name}|{prefix}{kind}") for kind in ("mean", "var"))
            if prefix and mean is None and var is None:
                continue
            if (
                mean is None
                or var is None
                or mean.shape != var.shape
                or mean.dim() != (2 if prefix else 1)
                or not {mean.dtype, var.dtype} <= DTYPES
                or not _are_possible(mean.float(), var.float())
            ):
                raise OperationError(
                    f"{path} is damaged at the layer {name}: it needs a finite mean and a finite "
                    f"variance of 0 or more for each channel. Compute it again."
                )
            if prefix:
                classes[name] = (mean.float(), var.float())
            else:
                layers[name] = Moments(mean.float(), var.float(), name in pooled)
    return layers, classes


def _are_possible(mean: Tensor, var: Tensor) -> bool:
    """Return whether some recordings can have these moments, in float32."""
    is_finite = bool(mean.isfinite().all() and var.isfinite().all())
    return is_finite and bool((var >= 0).all()) and bool(var.any())
