"""The form of a network that exporters take: tensors in, tensors out, and no front end."""

from __future__ import annotations

import copy
from pathlib import Path

from torch import Tensor, nn

from frami.core.errors import UsageError
from frami.models import bundle
from frami.models.model import Model
from frami.models.network import Network
from frami.models.pooling import statistics_pooling

NOT_BUILT_HERE = (
    "This model is not one that frami built: it runs code of your own, which an exported file "
    "cannot hold. Distill a student from it and export the student: frami distill --teacher MODEL "
    "--samples samples.h5 --out student."
)


class ExportForm(nn.Module):
    """A network as a function of standardized spectrograms ``(B, F, N)``, for any B and N.

    It returns logits ``(B, K)``. A sound event detector also returns frame logits ``(B, K, N')``.
    It reads no size from a shape as a Python number, which an exporter would turn into a constant.

    Attributes:
        encoder: The layers before statistics pooling.
        head: The layers after it.
        outputs: Names of the outputs.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.encoder, self.head = network.encoder, network.head
        is_detector = network.task.name == "sound-events"
        self.outputs = ("logits", "frame_logits") if is_detector else ("logits",)

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs, in the order of their names."""
        hidden = self.encoder(features.unsqueeze(1))
        _, logits, frame_logits = self.head(hidden, statistics_pooling(hidden))
        return (logits,) if len(self.outputs) == 1 else (logits, frame_logits)

    @property
    def is_recurrent(self) -> bool:
        """Whether the network has a recurrent layer."""
        return any(isinstance(module, nn.RNNBase) for module in self.modules())


def refuse_adopted(student: Model | str | Path) -> None:
    """Raise `UsageError` if a bundle holds an adopted model; none of its code runs."""
    if isinstance(student, Model):
        return
    path = bundle.description_path(bundle.resolve_bundle(student))
    if "adoption" in bundle.read_description(path):
        raise UsageError(NOT_BUILT_HERE)


def export_form(model: Model) -> ExportForm:
    """Return a copy of a model's network in the form that exporters take, in eval mode, on the CPU.

    Raises:
        UsageError: The network is not built of an encoder and a head.
    """
    if not isinstance(model.network, Network):
        raise UsageError(NOT_BUILT_HERE)
    network = copy.deepcopy(model.network).cpu().float().eval().requires_grad_(False)
    return ExportForm(network).eval()
