"""The common structure of networks: encoder, statistics pooling, embedding, classifier, output.

Shapes: B batch, F mel bands, N frames of the spectrogram, N' output frames (the frames before
pooling), D channels, E embedding, K classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from frami.core.errors import UsageError
from frami.models.heads import FrameHead, Head
from frami.models.pooling import statistics_pooling
from frami.models.tasks import SINGLE_LABEL, Task, find_task

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class Output:
    """Output of a network for a batch of clips.

    Attributes:
        logits: ``(B, K)``.
        hidden: ``(B, D, N')``, the hidden state before statistics pooling.
        stats: ``(B, 2D)``, mean and standard deviation of ``hidden`` over time. A network of other
            code can pool in its own way; its size is `Classifier.stats_size`.
        embedding: ``(B, E)``, the layer before the classifier.
        frame_logits: ``(B, K, N')``, or None for a network that classifies whole clips only.
        task: Task of the model.
    """

    logits: Tensor
    hidden: Tensor
    stats: Tensor
    embedding: Tensor
    frame_logits: Tensor | None = None
    task: Task = SINGLE_LABEL

    @property
    def probabilities(self) -> Tensor:
        """Probability of each class in the clip, ``(B, K)``; see `Task.class_probabilities`."""
        return self.task.class_probabilities(self.logits)

    @property
    def task_logits(self) -> Tensor:
        """Logits in the shape that a `frami.models.tasks.Task` takes.

        ``(B, K)``, or with frame logits ``(B, K, 1 + N')``: the clip's, then the frames'.
        """
        if self.frame_logits is None:
            return self.logits
        return torch.cat([self.logits.unsqueeze(2), self.frame_logits], dim=2)


def _flatten(output: Output) -> tuple[list[Tensor | None], str]:
    """Return the tensors of an output and the name of its task, for torch.export."""
    parts = [output.logits, output.hidden, output.stats, output.embedding, output.frame_logits]
    return parts, output.task.name


def _unflatten(parts: Iterable[Any], task: str) -> Output:
    logits, hidden, stats, embedding, frame_logits = parts
    return Output(logits, hidden, stats, embedding, frame_logits, find_task(task))


pytree.register_pytree_node(
    Output, _flatten, _unflatten, serialized_type_name="frami.models.network.Output"
)


class Classifier(nn.Module):
    """Interface of the networks that a `frami.models.model.Model` can have.

    `Network` implements it, and so does a module that combines several networks.

    Attributes:
        channels: D.
        classes: K.
        embedding: E.
        task: Task of the model. Creating a `frami.models.model.Model` sets it.
        head: The layers after statistics pooling. Its last layer is named ``classifier``.
    """

    channels: int
    classes: int
    embedding: int
    task: Task
    head: nn.Module

    @property
    def stats_size(self) -> int:
        """Size of `Output.stats`: 2D, unless the network pools in its own way."""
        return 2 * self.channels

    def forward(self, mel: Tensor) -> Output:
        """Return the output for spectrograms ``(B, F, N)``."""
        raise NotImplementedError

    if TYPE_CHECKING:

        def __call__(self, mel: Tensor) -> Output: ...


class Network(Classifier):
    """An encoder ``(B, 1, F, N) -> (B, D, N')`` with statistics pooling and a head.

    It takes any number of frames. In eval mode the output of a clip does not depend on its batch.

    To use a classifier that was built elsewhere, split it where it pools over time. The part before
    is the encoder, the part after is the ``head``, which may pool in its own way. A head is called
    with the hidden state ``(B, D, N')`` and the statistics ``(B, 2D)``. It returns three values:

    - an embedding ``(B, E)``,
    - logits ``(B, K)``: finite, and not probabilities,
    - frame logits ``(B, K, N')`` for the task sound-events, else None.

    Its last layer is its attribute ``classifier``: linear, or a convolution over one frame.

    Attributes:
        encoder: The layers before pooling.
        channels: D.
        classes: K.
        embedding: E.
        task: Task of the model. Creating a `frami.models.model.Model` sets it.
        head: The layers after pooling.
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
        classifier = getattr(head, "classifier", None)
        if head is not None and not isinstance(classifier, nn.Linear | nn.Conv1d):
            raise UsageError(
                "A head needs an attribute named classifier: its last layer, "
                "an nn.Linear or an nn.Conv1d."
            )
        self.encoder = encoder
        self.head: nn.Module = Head(2 * channels, embedding, classes) if head is None else head
        self.channels, self.classes, self.embedding = channels, classes, embedding
        self.task = SINGLE_LABEL

    def forward(self, mel: Tensor) -> Output:
        """Return the output for spectrograms ``(B, F, N)``; statistics and logits are float32."""
        hidden = self.encoder(mel.unsqueeze(1))
        _check_shape(
            "encoder", "a hidden state (B, D, N')", hidden, (len(mel), self.channels, None)
        )
        stats = statistics_pooling(hidden)
        embedding, logits, frame_logits = self._run_head(hidden, stats)
        # Under autocast, a layer's output has half the precision.
        if frame_logits is not None:
            frame_logits = frame_logits.float()
        return Output(logits.float(), hidden, stats, embedding, frame_logits, self.task)

    def _run_head(self, hidden: Tensor, stats: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the output of the head; raise if a custom head returns something else."""
        output: tuple[Tensor, Tensor, Tensor | None] = self.head(hidden, stats)
        if isinstance(self.head, Head | FrameHead):
            return output
        if not isinstance(output, tuple) or len(output) != 3:
            raise UsageError(
                "A head must return three values: an embedding (B, E), logits (B, K), and frame "
                "logits (B, K, N') or None."
            )
        embedding, logits, frame_logits = output
        batch, _, n_outputs = hidden.shape
        _check_shape("head", "an embedding (B, E)", embedding, (batch, self.embedding))
        _check_shape("head", "logits (B, K)", logits, (batch, self.classes))
        if frame_logits is not None or self.task.name == "sound-events":
            expected = batch, self.classes, n_outputs
            _check_shape("head", "frame logits (B, K, N')", frame_logits, expected)
        if frame_logits is not None and self.task.name != "sound-events":
            raise UsageError(
                f"This head returns frame logits, but the task of its model is {self.task.name}. "
                f"Use task='sound-events'."
            )
        return output


class NetworkModule(Protocol):
    """A module of `frami.teachers` or `frami.students`, or a network module of the user's own."""

    def build(self, bands: int, classes: int, **arguments: int | float) -> Network:
        """Return the network with fresh weights, drawn from torch's global generator."""


def _check_shape(part: str, what: str, value: object, expected: tuple[int | None, ...]) -> None:
    """Refuse an output of the wrong shape; None in ``expected`` stands for any size."""
    shape = tuple(value.shape) if isinstance(value, Tensor) else (type(value).__name__,)
    fits = len(shape) == len(expected) and all(
        size in (None, actual) for size, actual in zip(expected, shape, strict=True)
    )
    if not fits:
        expected_text, actual_text = (
            ", ".join("any" if size is None else str(size) for size in sizes)
            for sizes in (expected, shape)
        )
        raise UsageError(
            f"The {part} of the network must return {what} of shape ({expected_text}), "
            f"but it returned ({actual_text})."
        )


@contextmanager
def frozen(network: M) -> Iterator[M]:
    """Put a network into eval mode without gradients within the block, and restore it afterwards.

    Recurrent layers stay in training mode, with their dropout at 0. The output is the same, and
    cuDNN computes gradients of their inputs in training mode only.
    """
    modes = [(module, module.training) for module in network.modules()]
    trainable = [p for p in network.parameters() if p.requires_grad]
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
        for parameter in trainable:
            parameter.requires_grad_(True)
