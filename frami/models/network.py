"""What every network of frami is: frames, statistics pooling, embedding, classifier, and what it says of a clip.

Shapes: B batch, F mel bands, N frames of the spectrogram, N' frames before pooling, D channels, E embedding, K classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frami.core.errors import UsageError
from frami.models.pooling import ATTENTION, POOLINGS, statistics_pooling
from frami.models.tasks import SINGLE_LABEL, Task

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class Output:
    """What a network says of a batch of clips; every method reads these names only.

    Attributes:
        logits: ``(B, K)``.
        frames: ``(B, D, N')``, the hidden state before statistics pooling.
        stats: ``(B, 2D)``, mean and standard deviation of ``frames`` over time.
        embedding: ``(B, E)``, the layer before the classifier.
        frame_logits: ``(B, K, N')``, or None for a network that judges whole clips only.
        task: What kind of answer the logits are.
    """

    logits: Tensor
    hidden: Tensor
    stats: Tensor
    embedding: Tensor
    frame_logits: Tensor | None = None
    task: Task = SINGLE_LABEL

    @property
    def task_logits(self) -> Tensor:
        """What `frami.tasks` compares: ``(B, K)``, or ``(B, K, 1 + N')`` of the clip and of its frames."""
        if self.frame_logits is None:
            return self.logits
        return torch.cat([self.logits.unsqueeze(2), self.frame_logits], dim=2)


class Classifier(nn.Module):
    """The interface of every network in a `frami.models.model.Model`.

    `Network` implements it, and so does a module that combines several networks.

    Attributes:
        channels: D.
        classes: K.
        embedding: E.
        task: Task of the model; a `frami.models.model.Model` sets it.
        head: The layers after statistics pooling; its last layer is its ``classifier``.
    """

    channels: int
    classes: int
    embedding: int
    task: Task
    head: nn.Module

    def forward(self, mel: Tensor) -> Output:
        """Return the output for spectrograms ``(B, F, N)``."""
        raise NotImplementedError

    if TYPE_CHECKING:

        def __call__(self, mel: Tensor) -> Output: ...


def conv_recurrent_forward(mel: Tensor, layers: Iterable[nn.Module], recurrent: nn.GRU) -> Tensor:
    """Return the frames ``(B, D, N')`` of clips ``(B, 1, F, N)``: convolutions, then a recurrent network over time.

    Frequency is halved after every convolution as far as it goes and then averaged, time is halved after the first two.
    """
    for number, layer in enumerate(layers):
        mel = layer(mel)
        mel = F.avg_pool2d(
            mel, (2 if mel.shape[2] > 1 else 1, 2 if number < 2 else 1), ceil_mode=True
        )
    sequence = mel.mean(dim=2).transpose(1, 2).float()
    with torch.autocast(sequence.device.type, enabled=False):
        heard, _ = recurrent(sequence)
    return heard.transpose(1, 2)


class Head(nn.Module):
    """Statistics ``(B, 2D)`` to embedding ``(B, E)`` and logits ``(B, K)``."""

    def __init__(self, stats: int, embedding: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(stats, embedding)
        self.norm = nn.BatchNorm1d(embedding)
        self.classifier = nn.Linear(embedding, classes)

    def forward(self, frames: Tensor, stats: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return embedding ``(B, E)``, logits ``(B, K)``, and no logits of frames."""
        embedding = torch.relu(self.norm(self.embedding(stats)))
        return embedding, self.classifier(embedding), None


class FrameHead(nn.Module):
    """Frames ``(B, D, N')`` to logits of every frame ``(B, K, N')``, and of the clip by pooling them.

    By default that is attention: each frame is weighted by how much it tells of the class. Logits of clips end at about
    -13.8 and 13.8, a probability of 1e-6. The embedding takes no part in that and does not learn; what its batch norm
    keeps of the pooled statistics is what an inversion of a detector has to go by, after pooling.

    Source: the head of the baseline of DCASE 2023 task 4. Differs: attention is a softmax over time alone.
    """

    def __init__(self, stats: int, embedding: int, classes: int, pooling: str = ATTENTION) -> None:
        super().__init__()
        self.embedding = nn.Linear(stats, embedding)
        self.norm = nn.BatchNorm1d(embedding)
        self.frame_classifier = nn.Conv1d(stats // 2, classes, 1)
        self.attention = nn.Conv1d(stats // 2, classes, 1) if pooling == ATTENTION else None
        self.pooling = pooling

    def forward(self, frames: Tensor, stats: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return embedding ``(B, E)``, logits of the clip ``(B, K)`` and of its frames ``(B, K, N')``."""
        strong = self.frame_classifier(frames).float()
        probable = strong.sigmoid()
        if self.attention is not None:
            clip = (self.attention(frames).float().softmax(dim=2) * probable).sum(dim=2)
        else:
            clip = POOLINGS[self.pooling](probable)
        return (
            torch.relu(self.norm(self.embedding(stats))),
            clip.clamp(1e-6, 1 - 1e-6).logit(),
            strong,
        )


class Network(Classifier):
    """An encoder ``(B, 1, F, N) -> (B, D, N')`` with statistics pooling and a head.

    Any number of frames goes in. In eval mode a clip's output does not depend on its batch.

    A classifier that was built elsewhere is one as well: what comes before its pooling over time is the encoder, the rest a
    ``head`` of its own, which may pool otherwise. That is called with frames and statistics ``(B, 2D)``, and returns an
    embedding ``(B, E)``, logits ``(B, K)`` (no probabilities, and finite), and None, or of a detector the logits of every
    frame ``(B, K, N')``. Its last layer is its ``classifier``: linear, or a convolution over one frame.

    Attributes:
        channels: D.
        classes: K.
        embedding: E.
        task: What kind of answer it gives; set by the `frami.model.Model` that it is part of.
    """

    def __init__(
        self,
        encoder: nn.Module,
        *,
        channels: int,
        classes: int,
        embedding: int,
        head: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if head is not None and not isinstance(
            getattr(head, "classifier", None), nn.Linear | nn.Conv1d
        ):
            raise UsageError(
                "A head has its last layer, an nn.Linear or an nn.Conv1d, as `classifier`; name it so."
            )
        self.encoder = encoder
        self.head: nn.Module = Head(2 * channels, embedding, classes) if head is None else head
        self.channels, self.classes, self.embedding = channels, classes, embedding
        self.task = SINGLE_LABEL

    def forward(self, mel: Tensor) -> Output:
        """Return what the network says of spectrograms ``(B, F, N)``; the moments are taken in float32."""
        frames = self.encoder(mel.unsqueeze(1))
        _check("encoder", "frames (B, D, N')", frames, (len(mel), self.channels, None))
        stats = statistics_pooling(frames)
        embedding, logits, frame_logits = self._answered(frames, stats)
        # Under autocast, a layer's numbers are of half the precision.
        in_time = None if frame_logits is None else frame_logits.float()
        return Output(logits.float(), frames, stats, embedding, in_time, self.task)

    def _answered(self, frames: Tensor, stats: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return what the head says; one of the user's own is looked at first."""
        said = self.head(frames, stats)
        if isinstance(self.head, Head | FrameHead):
            return said
        if not isinstance(said, tuple) or len(said) != 3:
            raise UsageError(
                "A head returns three: embedding (B, E), logits (B, K), and logits of frames (B, K, N') or None."
            )
        batch, _, length = frames.shape
        _check("head", "an embedding (B, E)", said[0], (batch, self.embedding))
        _check("head", "logits (B, K)", said[1], (batch, self.classes))
        if said[2] is not None or self.task.name == "sound-events":
            _check("head", "logits of frames (B, K, N')", said[2], (batch, self.classes, length))
        if said[2] is not None and self.task.name != "sound-events":
            raise UsageError(
                f"This head judges every frame, and the model's task is {self.task.name}; say task='sound-events'."
            )
        return said


class NetworkModule(Protocol):
    """A module of `frami.teachers` or `frami.students`, or a network module of the user's own."""

    def build(self, bands: int, classes: int, **arguments: int | float) -> Network:
        """Return the network with fresh weights, drawn from torch's global generator."""


def _check(part: str, what: str, came: object, wanted: tuple[int | None, ...]) -> None:
    """Refuse what a part of a network gives if it is not of the shape that was announced; None stands for any length."""
    shape = tuple(came.shape) if isinstance(came, Tensor) else (type(came).__name__,)
    if len(shape) != len(wanted) or any(
        size not in (None, found) for size, found in zip(wanted, shape, strict=True)
    ):
        asked, given = (
            ", ".join("any" if size is None else str(size) for size in sizes)
            for sizes in (wanted, shape)
        )
        raise UsageError(
            f"The network's {part} gives {what} of shape ({asked}); what came is ({given})."
        )


@contextmanager
def frozen(network: M) -> Iterator[M]:
    """Hold a network in eval mode without gradients; afterwards mode and gradients are as before.

    Recurrent layers are in training mode, without dropout: that is the same, and else cuDNN gives no gradient of their inputs.
    """
    modes = [(module, module.training) for module in network.modules()]
    learning = [p for p in network.parameters() if p.requires_grad]
    recurrent = [
        (module, module.dropout) for module in network.modules() if isinstance(module, nn.RNNBase)
    ]
    network.eval().requires_grad_(False)
    for layer, _ in recurrent:
        layer.train().dropout = 0.0
    try:
        yield network
    finally:
        for layer, dropout in recurrent:
            layer.dropout = dropout
        for module, training in modes:
            module.training = training
        for parameter in learning:
            parameter.requires_grad_(True)
