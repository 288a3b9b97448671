"""Several teachers as one: the mean of their class probabilities, weighted by class.

The weight of a teacher for a class is its average precision on the student's training clips. The
weights are biased towards an overfitted teacher if the teachers were trained on those clips, and
towards the teacher that a store was inverted from.

Source: after Fu et al., "Multi Model-Based Distillation for Sound Event Detection", IEICE Trans.
Inf. & Syst. E102-D(10), 2019, which publishes the idea of several complementary teachers. Differs:
the weights are our choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from frami.audio.frontend import FrontEnd
from frami.core.runtime import Runtime
from frami.data.clips import Clips
from frami.evaluate.predictions import iter_predictions
from frami.models import tasks
from frami.models.compatibility import distinct_front_ends
from frami.models.model import Model
from frami.models.network import Classifier, Output


@dataclass(frozen=True)
class InputAdapter:
    """Select a network's own bands from clips that stack the bands of several front ends.

    Front ends that differ only in mean and deviation share their bands. The bands are then rescaled
    to the network's own mean and deviation.

    Attributes:
        band_slice: The bands to select.
        scale: Factor that turns the clips' deviation into the network's.
        shift: Offset after the scaling, which turns the clips' mean into the network's.
    """

    band_slice: slice
    scale: float
    shift: float

    @classmethod
    def between(cls, own: FrontEnd, stacked: Sequence[FrontEnd]) -> InputAdapter:
        """Return the adapter from clips with these stacked front ends to a network's own."""
        index = [end.unstandardized for end in stacked].index(own.unstandardized)
        low = sum(end.n_mels for end in stacked[:index])
        source = stacked[index]
        return cls(
            slice(low, low + source.n_mels),
            source.std / own.std,
            (source.mean - own.mean) / own.std,
        )

    def __call__(self, mel: Tensor) -> Tensor:
        """Return the network's input ``(B, F', N)`` from clips ``(B, F, N)``."""
        part = mel[:, self.band_slice]
        return part if (self.scale, self.shift) == (1.0, 0.0) else self.scale * part + self.shift


class Ensemble(Classifier):
    """Networks side by side, with the weighted mean of their class probabilities.

    Hidden state, statistics and embedding are those of the first network.
    """

    def __init__(
        self, networks: Sequence[Classifier], weights: Tensor, adapters: Sequence[InputAdapter]
    ) -> None:
        """Combine networks.

        Args:
            networks: M networks with the same classes, task and frame rate.
            weights: Weight of each network for each class, ``(M, K)``; any scale.
            adapters: The input of each network.
        """
        super().__init__()
        self.weights: Tensor
        self.networks = nn.ModuleList(networks)
        self.register_buffer("weights", weights / weights.sum(dim=0))
        self.adapters = list(adapters)
        first = networks[0]
        self.channels, self.classes, self.embedding = first.channels, first.classes, first.embedding
        self.head, self.task = first.head, first.task

    @property
    def stats_size(self) -> int:
        """Size of the pooled statistics, those of the first network."""
        first = self.networks[0]
        assert isinstance(first, Classifier)
        return first.stats_size

    def forward(self, mel: Tensor) -> Output:
        """Return the output of the ensemble for clips ``(B, F, N)``."""
        outputs = [
            network(adapter(mel))
            for network, adapter in zip(self.networks, self.adapters, strict=True)
        ]
        each = torch.stack(
            [self.task.class_probabilities(output.task_logits) for output in outputs]
        )
        weights = self.weights.view(len(outputs), 1, self.classes, *[1] * (each.dim() - 3))
        logits = self.task.to_logits((weights * each).sum(dim=0))
        first: Output = outputs[0]
        if first.frame_logits is None:
            return replace(first, logits=logits)
        return replace(first, logits=logits[:, :, 0], frame_logits=logits[:, :, 1:])


def weighted_ensemble(teachers: Sequence[Model], clips: Clips, runtime: Runtime) -> Model:
    """Return several teachers as one model, each weighted by class by its average precision.

    Args:
        teachers: Models that pass `frami.models.compatibility.check_compatible`.
        clips: Clips to estimate the weights on, with the stacked bands of all front ends of the
            teachers (`frami.models.compatibility.distinct_front_ends`).
        runtime: The device to compute on.
    """
    front_ends = distinct_front_ends(teachers)
    adapters = [InputAdapter.between(teacher.front_end, front_ends) for teacher in teachers]
    weights = torch.stack(
        [
            class_average_precision(teacher, clips, runtime, adapter)
            for teacher, adapter in zip(teachers, adapters, strict=True)
        ]
    )
    network = Ensemble([teacher.network for teacher in teachers], weights, adapters)
    return replace(teachers[0], network=network)


class HiddenStateTeacher(Classifier):
    """A teacher with the hidden state, statistics and embedding of another network."""

    def __init__(self, teacher: Classifier, other: Classifier, adapter: InputAdapter) -> None:
        """Combine two networks.

        Args:
            teacher: The network that gives the logits.
            other: The network that gives the hidden state, statistics and embedding.
            adapter: The input of the other network.
        """
        super().__init__()
        self.teacher, self.other, self.adapter = teacher, other, adapter
        self.channels, self.embedding, self.head = other.channels, other.embedding, other.head
        self.classes, self.task = teacher.classes, teacher.task

    @property
    def stats_size(self) -> int:
        """Size of the pooled statistics, those of the other network."""
        return self.other.stats_size

    def forward(self, mel: Tensor) -> Output:
        """Return the combined output for clips ``(B, F, N)``."""
        output, other = self.teacher(mel), self.other(self.adapter(mel))
        return replace(output, hidden=other.hidden, stats=other.stats, embedding=other.embedding)


def with_hidden_states_of(teacher: Model, other: Model) -> Model:
    """Return a teacher with the hidden states of another model.

    The other model may be wider, or trained on more classes or clips.

    Args:
        teacher: The model that gives the logits.
        other: The model that gives the hidden state, statistics and embedding. It has the teacher's
            front end, except for mean and deviation. Its classes may be others.
    """
    adapter = InputAdapter.between(other.front_end, [teacher.front_end])
    network = HiddenStateTeacher(teacher.network, other.network, adapter)
    return replace(teacher, network=network)


def class_average_precision(
    teacher: Model, clips: Clips, runtime: Runtime, adapter: InputAdapter | None = None
) -> Tensor:
    """Return a teacher's average precision for each class on some clips, ``(K,)``, in [0, 1].

    A class without positive clips gets the mean of the other classes. For sound events, the frames
    with known labels are ranked together with the clips.

    Args:
        teacher: The model to rate.
        clips: Clips with targets.
        runtime: The device to compute on.
        adapter: The teacher's input; by default the clips have the teacher's front end.
    """
    # scikit-learn is as slow to import as torch, and only ensembles need it.
    from sklearn.metrics import average_precision_score

    logits, targets = _flat_predictions(teacher, clips, runtime, adapter)
    scores: dict[int, float] = {}
    for index in range(targets.shape[1]):
        known = np.isfinite(targets[:, index])
        positive = targets[known, index] >= 0.5
        if positive.any():
            scores[index] = average_precision_score(positive, logits[known, index])
    mean = float(np.mean(list(scores.values()))) if scores else 1.0
    values = [scores.get(index, mean) for index in range(targets.shape[1])]
    return torch.tensor(values, dtype=torch.float32)


def _flat_predictions(
    teacher: Model, clips: Clips, runtime: Runtime, adapter: InputAdapter | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return logits and targets of clips, or of clips and their frames, both ``(S', K)``."""
    classes = len(teacher.labels)
    adapter = adapter or InputAdapter.between(teacher.front_end, [teacher.front_end])
    alone = Ensemble([teacher.network], torch.ones(1, classes), [adapter])
    logits: list[Tensor] = []
    targets: list[Tensor] = []
    for output, indices in iter_predictions(replace(teacher, network=alone), clips, runtime):
        target = torch.stack([clips.target(int(index)) for index in indices])
        target = tasks.as_class_values(target, classes)
        if target.dim() > 2:
            target = tasks.targets_at_output_rate(output, target)
        for rows, values in ((logits, output), (targets, target)):
            values = values.float().view(len(indices), classes, -1)
            rows.append(values.transpose(1, 2).flatten(0, 1))
    return torch.cat(logits).numpy(), torch.cat(targets).numpy()
