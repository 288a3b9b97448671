"""Several teachers as one: for each class, the mean of what they say, weighted by how well each knows that class.

Source: after Fu et al., "Multi Model-Based Distillation for Sound Event Detection", IEICE Trans. Inf. & Syst. E102-D(10),
2019, which publishes the idea of several complementary teachers; the weights are our choice. They are taken from the
clips that the student learns from: those of recordings that the teachers learned from, too, flatter one that knows them
by heart, and those of a store the teacher that it was made from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
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
    """What a network hears of clips that hold the bands of several front ends, one above the other.

    Front ends that differ in mean and deviation alone (each teacher's are those of its own recordings) share their bands,
    which are then brought to the network's own.
    """

    band_slice: slice
    scale: float
    shift: float

    @classmethod
    def between(cls, own: FrontEnd, there: Sequence[FrontEnd]) -> InputAdapter:
        """Return that of a network, given its front end and those that a clip holds."""
        place = [end.unstandardized for end in there].index(own.unstandardized)
        low, high = np.cumsum([0, *(end.n_mels for end in there)])[place : place + 2].tolist()
        given = there[place]
        return cls(slice(low, high), given.std / own.std, (given.mean - own.mean) / own.std)

    def __call__(self, mel: Tensor) -> Tensor:
        """Return the network's part of clips ``(B, F, N)``."""
        part = mel[:, self.band_slice]
        return part if (self.scale, self.shift) == (1.0, 0.0) else self.scale * part + self.shift


class Ensemble(Classifier):
    """Networks that hear a clip side by side; what is not an answer (frames, statistics, embedding) is the first one's."""

    def __init__(
        self, networks: Sequence[Classifier], weights: Tensor, ears: Sequence[InputAdapter]
    ) -> None:
        """Take M networks, the weight of each for each class, ``(M, K)``, and what each hears of a clip."""
        super().__init__()
        self.weights: Tensor
        self.networks = nn.ModuleList(networks)
        self.register_buffer("weights", weights / weights.sum(dim=0))
        self.ears = list(ears)
        first = networks[0]
        self.channels, self.classes, self.embedding = first.channels, first.classes, first.embedding
        self.head, self.task = first.head, first.task

    def forward(self, mel: Tensor) -> Output:
        """Return the answer of them all to clips ``(B, F, N)``."""
        said = [network(ear(mel)) for network, ear in zip(self.networks, self.ears, strict=True)]
        answers = torch.stack([self.task.class_probabilities(each.task_logits) for each in said])
        weights = self.weights.view(len(said), 1, self.classes, *[1] * (answers.dim() - 3))
        answer = self.task.to_logits((weights * answers).sum(dim=0))
        if said[0].frame_logits is None:
            return replace(said[0], logits=answer)
        return replace(said[0], logits=answer[:, :, 0], frame_logits=answer[:, :, 1:])


def weighted_ensemble(teachers: Sequence[Model], clips: Clips, runtime: Runtime) -> Model:
    """Return several teachers as one model, each weighted by class by its average precision on some clips.

    Args:
        teachers: They are alike in what `check_alike` asks for.
        clips: What they are weighted by: the bands of all `front_ends`, one above the other.
        where: On what that is computed.
    """
    ends = distinct_front_ends(teachers)
    ears = [InputAdapter.between(teacher.front_end, ends) for teacher in teachers]
    weights = torch.stack(
        [
            class_average_precision(one, clips, runtime, ear)
            for one, ear in zip(teachers, ears, strict=True)
        ]
    )
    network = Ensemble([teacher.network for teacher in teachers], weights, ears)
    return replace(teachers[0], network=network)


class HiddenStateTeacher(Classifier):
    """A network that answers as one teacher does, with the frames, statistics and embedding of another."""

    def __init__(self, teacher: Classifier, other: Classifier, ear: InputAdapter) -> None:
        """Take both, and what the other hears of a clip."""
        super().__init__()
        self.teacher, self.other, self.ear = teacher, other, ear
        self.channels, self.embedding, self.head = other.channels, other.embedding, other.head
        self.classes, self.task = teacher.classes, teacher.task

    def forward(self, mel: Tensor) -> Output:
        """Return what the two say of clips ``(B, F, N)``."""
        said, known = self.teacher(mel), self.other(self.ear(mel))
        return replace(said, hidden=known.hidden, stats=known.stats, embedding=known.embedding)


def with_hidden_states_of(teacher: Model, other: Model) -> Model:
    """Return a teacher whose hidden states are those of another model: a wider one, or one that was trained on more.

    Args:
        teacher: Whose answers count.
        other: Whose frames, statistics and embedding do; it hears through the same front end, but for mean and deviation,
            and what classes it knows does not matter.
    """
    ear = InputAdapter.between(other.front_end, [teacher.front_end])
    network = HiddenStateTeacher(teacher.network, other.network, ear)
    return replace(teacher, network=network)


def class_average_precision(
    teacher: Model, clips: Clips, runtime: Runtime, ear: InputAdapter | None = None
) -> Tensor:
    """Return the average precision of each class on some clips, ``(K,)``; the mean of the others for one that is absent.

    Of a teacher of events, every frame whose truth is known is ranked as well: it is to know when a class sounds.
    """
    # As slow to import as torch, and of use to several teachers alone.
    from sklearn.metrics import average_precision_score

    ear = ear or InputAdapter.between(teacher.front_end, [teacher.front_end])
    alone = Ensemble([teacher.network], torch.ones(1, len(teacher.labels)), [ear])
    teacher = replace(teacher, network=alone)
    classes = len(teacher.labels)
    said: list[Tensor] = []
    true: list[Tensor] = []
    for answer, chosen in iter_predictions(teacher, clips, runtime):
        target = tasks.as_class_values(
            torch.stack([clips.target(int(clip)) for clip in chosen]), classes
        )
        wanted = target if target.dim() == 2 else tasks.targets_at_output_rate(answer, target)
        for rows, values in ((said, answer), (true, wanted)):
            rows.append(values.float().view(len(chosen), classes, -1).transpose(1, 2).flatten(0, 1))
    answers, targets = torch.cat(said).numpy(), torch.cat(true).numpy()
    found = {}
    for index in range(classes):
        known = np.isfinite(targets[:, index])
        there = targets[known, index] >= 0.5
        if there.any():
            found[index] = average_precision_score(there, answers[known, index])
    mean = float(np.mean(list(found.values()))) if found else 1.0
    return torch.tensor([found.get(index, mean) for index in range(classes)], dtype=torch.float32)
